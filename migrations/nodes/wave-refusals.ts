import { backupRefusals } from "../backup/before-mutation.ts";
import { obstacleText } from "../mirror/preflight.ts";
import { explainUnavailable } from "../postgres/unavailable.ts";
import { resolveReference } from "../reference.ts";
import type { Hold } from "../registry/holds.ts";
import { registryDatabase } from "../registry/registry-session.ts";
import type { Registry } from "../registry/registry.ts";
import { lookAtMembers } from "../visits.ts";
import type { RegionTarget, WaveInputs } from "../wave-inputs.ts";
import { milvusRefusals } from "./milvus-refusals.ts";
import type { Refusal } from "./node.ts";
import { residencyRefusals } from "./residency-refusals.ts";
import { vaultRefusals } from "./vault-refusals.ts";
import { goesBack, isPlatformAbsent, readWholeWave, withRegistries } from "./wave-members.ts";
import type { WaveMember, WholeWave } from "./wave-members.ts";

/**
 * Why a wave may not go where its pin says, read from the live registry, the tenants' databases, Vault and Milvus: also a plain
 * `pulumi up` cannot get round it. The guard asks before anything is changed. A platform that does not exist yet refuses
 * nothing. On the way back what one tenant's data or Vault says is no reason to keep the others: prepare and cutover name
 * the tenants that cannot go.
 */
export async function waveRefusals(inputs: WaveInputs): Promise<Refusal[]> {
  const found = await readStanding(inputs);
  if (!("wave" in found)) return found.refusals;
  const moving = found.wave.active.filter((member) => !isThere(inputs, member));
  const mustAsk = moving.length > 0 && !goesBack(inputs);
  return [
    ...found.refusals,
    ...(mustAsk ? await vaultRefusals(inputs, moving) : []),
    ...(mustAsk ? await milvusRefusals(inputs) : []),
    ...(mustAsk ? (await backupRefusals(inputs.backup)).map((reason) => ({ property: "backup", reason })) : []),
    ...(mustAsk ? await dataRefusals(inputs, moving) : []),
  ];
}

/** The part of `waveRefusals` that may change while an update runs, by a query or two: every node of a wave asks again. */
export async function standingRefusals(inputs: WaveInputs): Promise<Refusal[]> {
  return (await readStanding(inputs)).refusals;
}

/**
 * The last look, when a node is about to act: a hold may have been written while the node before it ran.
 * @throws naming the holds, before anything was changed
 */
export async function refuseHeld(inputs: WaveInputs, registries: ReadonlyMap<RegionTarget, Registry>): Promise<void> {
  const refusals = await forbiddenBy(inputs, registries);
  if (refusals.length === 0) return;
  throw new Error(
    `${refusals.map(({ reason }) => reason).join("; ")}; wave ${inputs.wave} was not touched by ${inputs.kind}`,
  );
}

type Standing = { readonly refusals: Refusal[] } | { readonly refusals: Refusal[]; readonly wave: WholeWave };

async function readStanding(inputs: WaveInputs): Promise<Standing> {
  try {
    return await withRegistries(inputs, { isReadOnly: true }, async (registries) => {
      const wave = await readWholeWave(inputs, registries);
      const moving = wave.active.filter((member) => !isThere(inputs, member));
      const steps = stepRefusals(inputs, [...moving, ...wave.suspended]);
      const misplaced = await residencyRefusals(inputs, registries);
      return { refusals: [...(await forbiddenBy(inputs, registries)), ...misplaced, ...steps], wave };
    });
  } catch (error) {
    if (isPlatformAbsent(error)) return { refusals: [] };
    return { refusals: [unreadable(inputs, error)] };
  }
}

/** Holds against the pinned release, and its being forbidden for ever. */
async function forbiddenBy(inputs: WaveInputs, registries: ReadonlyMap<RegionTarget, Registry>): Promise<Refusal[]> {
  const [home] = registries.values();
  const { environment, release, wave } = inputs;
  const holds = (await home?.holds.against(environment, release.hash, wave)) ?? [];
  const rescinded = await home?.records.findRescinded(release.hash);
  return [
    ...holds.map((hold) => refusalOf(inputs, hold)),
    ...(rescinded === undefined
      ? []
      : [
          {
            property: "release",
            reason:
              `${release.pin} is rescinded since ${minute(rescinded.at)} (by ${rescinded.who}: ${rescinded.why}) and never ` +
              `runs again; pin another release: coordinator rollback ${environment}, or publish a correction under a new id`,
          },
        ]),
  ];
}

function unreadable(inputs: WaveInputs, error: unknown): Refusal {
  const [home] = inputs.regions;
  const reference = home?.postgresUrl ?? "";
  let url: string;
  try {
    url = resolveReference(reference);
  } catch {
    return { property: "regions", reason: `region ${home?.name}: ${(error as Error).message}` };
  }
  const about = `region ${inputs.regions.map(({ name }) => name).join(", ")}`;
  return {
    property: "regions",
    reason: explainUnavailable(error, { about, url, reference, database: registryDatabase }),
  };
}

/** True when the tenant is served by the pinned release. */
export function isThere(inputs: WaveInputs, { tenant }: WaveMember): boolean {
  return tenant.release === inputs.release.id && tenant.pin === inputs.release.pin;
}

function refusalOf(inputs: WaveInputs, hold: Hold): Refusal {
  const { environment, release } = inputs;
  const where = `${environment}${hold.wave === undefined ? "" : ` (wave ${hold.wave})`}`;
  const mend =
    hold.hashes.length === 0
      ? `end the hold: coordinator unhold --env ${environment} --id ${hold.id}`
      : `merge the patch that the rollback printed, or lift the hold: coordinator promote ${release.id} --env ${environment}`;
  return {
    property: "release",
    reason: `${where} is held since ${minute(hold.since)} (by ${hold.who}: ${hold.why}), and ${release.pin} is forbidden; ${mend}`,
  };
}

/** `2027-03-01 14:05`, UTC. */
function minute(at: Date): string {
  return at.toISOString().slice(0, 16).replace("T", " ");
}

/**
 * One step at a time: a tenant comes from `back`, from another content of the same release, or is there. Suspended ones
 * count as well: without its release's fleet a tenant could not come back.
 */
function stepRefusals(inputs: WaveInputs, members: readonly WaveMember[]): Refusal[] {
  const allowed = [inputs.release.id, ...(inputs.back === undefined ? [] : [inputs.back.id])];
  const strangers = members.filter(({ tenant }) => tenant.release !== undefined && !allowed.includes(tenant.release));
  const [first] = strangers;
  if (first === undefined) return [];
  return [
    {
      property: "back",
      reason:
        `wave ${inputs.wave}: ${strangers.length} tenants run another release than the stack file says, ` +
        `e.g. ${first.tenant.id}${first.tenant.status === "suspended" ? " (suspended)" : ""} runs ${first.tenant.pin}; allowed is ${allowed.join(" or ")} ` +
        `(now: ${inputs.release.pin}, back: ${inputs.back?.pin ?? "none"}); set pins.${inputs.wave}.back to ${first.tenant.pin}, ` +
        `and move one release at a time: coordinator promote`,
    },
  ];
}

/** What the tenants' own databases say against the move: inline text, roles that a fence cannot hold, and the like. */
async function dataRefusals(inputs: WaveInputs, moving: readonly WaveMember[]): Promise<Refusal[]> {
  const reasons = (await lookAtMembers(inputs, moving)).flatMap((visit) =>
    visit instanceof Error ? [visit.message] : visit.obstacles.map(obstacleText),
  );
  return reasons.map((reason) => ({ property: "wave", reason }));
}
