import { countMembers } from "../census.ts";
import { obstacleText } from "../mirror/preflight.ts";
import { resolveReference } from "../reference.ts";
import type { Hold } from "../registry/holds.ts";
import { VaultSession } from "../vault/session.ts";
import type { WaveInputs } from "../wave-inputs.ts";
import type { Refusal } from "./node.ts";
import { goesBack, isPlatformAbsent, readWholeWave, withRegistries } from "./wave-members.ts";
import type { WaveMember, WholeWave } from "./wave-members.ts";

/**
 * Why a wave may not go where its pin says, read from the live registry: also a plain `pulumi up` cannot get round it.
 * A platform that does not exist yet refuses nothing. On the way back what one tenant's data or Vault says is no reason to
 * keep the others: prepare and cutover name the tenants that cannot go.
 */
export async function waveRefusals(inputs: WaveInputs): Promise<Refusal[]> {
  let found: { holds: Hold[]; rescinded: boolean; wave: WholeWave };
  try {
    found = await withRegistries(inputs, { isReadOnly: true }, async (registries) => {
      const [first] = registries.values();
      return {
        holds: (await first?.holds.against(inputs.environment, inputs.release.hash, inputs.wave)) ?? [],
        rescinded: (await first?.records.findRescinded(inputs.release.hash)) !== undefined,
        wave: await readWholeWave(inputs, registries),
      };
    });
  } catch (error) {
    if (isPlatformAbsent(error)) return [];
    return [{ property: "regions", reason: (error as Error).message }];
  }
  const moving = found.wave.active.filter((member) => !isThere(inputs, member));
  const mustAsk = moving.length > 0 && !goesBack(inputs);
  return [
    ...found.holds.map((hold) => refusalOf(inputs, hold)),
    ...(found.rescinded
      ? [{ property: "release", reason: `${inputs.release.pin} is rescinded; pin another release: coordinator status` }]
      : []),
    ...stepRefusals(inputs, [...moving, ...found.wave.suspended]),
    ...(mustAsk ? await vaultRefusals(inputs) : []),
    ...(mustAsk ? await dataRefusals(inputs, moving) : []),
  ];
}

/** True when the tenant is served by the pinned release. */
export function isThere(inputs: WaveInputs, { tenant }: WaveMember): boolean {
  return tenant.release === inputs.release.id && tenant.pin === inputs.release.pin;
}

function refusalOf(inputs: WaveInputs, hold: Hold): Refusal {
  const since = hold.since.toISOString().slice(0, 16).replace("T", " ");
  return {
    property: "release",
    reason:
      `${inputs.environment}${hold.wave === undefined ? "" : ` (wave ${hold.wave})`} is held since ${since} ` +
      `(by ${hold.who}: ${hold.why}), and ${inputs.release.pin} is forbidden; merge the patch that the rollback printed, ` +
      `or lift the hold: coordinator promote ${inputs.release.id} --env ${inputs.environment}`,
  };
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
  try {
    const { obstacles } = await countMembers(inputs, moving, () => 1);
    return obstacles.map((obstacle) => ({ property: "wave", reason: obstacleText(obstacle) }));
  } catch (error) {
    return [{ property: "regions", reason: (error as Error).message }];
  }
}

/** Sealing and opening need every region's Vault before the first row is touched. */
async function vaultRefusals(inputs: WaveInputs): Promise<Refusal[]> {
  const needsVault = [...inputs.release.sinkMirrors, ...(inputs.back?.sinkMirrors ?? [])].length > 0;
  if (!needsVault) return [];
  const reasons = await Promise.all(
    inputs.regions.map(async (region) => {
      if (region.vaultAddress === undefined || region.vaultToken === undefined)
        return `region ${region.name} has no Vault, and ${inputs.release.pin} moves sealed data; set present.vault: true and name it`;
      try {
        const address = resolveReference(region.vaultAddress);
        const session = new VaultSession({ address, token: resolveReference(region.vaultToken), deadlineMs: 3000 });
        await session.request("GET", "auth/token/lookup-self");
        return undefined;
      } catch (error) {
        return `region ${region.name}: ${(error as Error).message}`;
      }
    }),
  );
  return reasons.flatMap((reason) => (reason === undefined ? [] : [{ property: "regions", reason }]));
}
