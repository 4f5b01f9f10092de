import pLimit from "p-limit";
import { type TenantResult, untouched } from "../mirror/job.ts";
import { withoutRows } from "../postgres/errors.ts";
import type { Registry } from "../registry/registry.ts";
import { readTenantState } from "../tenant-state.ts";
import type { RegionTarget } from "../wave-inputs.ts";
import type { WaveMember } from "./wave-members.ts";

/** Members with what their own ledgers say, and those whose ledger cannot be read. */
export interface ExactMembers {
  readonly members: readonly WaveMember[];
  readonly unreachable: readonly TenantResult[];
}

/** Databases looked at side by side. */
const visitsAtOnce = 8;

/**
 * Reads every member's ledger in place of the registry's copy, which may be old: no step may be left out because of it.
 * The registry is told what was found, so that the next preview sees it as well.
 */
export async function readExactly(
  members: readonly WaveMember[],
  registries: ReadonlyMap<RegionTarget, Registry>,
): Promise<ExactMembers> {
  const limit = pLimit(visitsAtOnce);
  const unreachable: TenantResult[] = [];
  const visits = members.map((member) =>
    limit(async (): Promise<WaveMember[]> => {
      try {
        const states = await readTenantState(member.tenant, member.region);
        return [{ ...member, tenant: { ...member.tenant, states } }];
      } catch (error) {
        unreachable.push(untouched(member.tenant.id, "failed", withoutRows(error).message));
        return [];
      }
    }),
  );
  const exact = (await Promise.all(visits)).flat();
  for (const [region, registry] of registries)
    await registry.projection.record(exact.flatMap((one) => (one.region === region ? one.tenant.states : [])));
  return { members: exact, unreachable };
}
