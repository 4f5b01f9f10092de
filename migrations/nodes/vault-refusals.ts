import { resolveReference } from "../reference.ts";
import { VaultError } from "../vault/vault-error.ts";
import { VaultSession } from "../vault/session.ts";
import type { RegionTarget, WaveInputs } from "../wave-inputs.ts";
import type { Refusal } from "./node.ts";
import type { WaveMember } from "./wave-members.ts";

/**
 * Sealing and opening need every region's Vault before the first row is touched: it answers, the token may list keys,
 * and whoever has sealed rows has his KEK. Two requests a region, whatever the number of tenants.
 */
export async function vaultRefusals(inputs: WaveInputs, moving: readonly WaveMember[]): Promise<Refusal[]> {
  const needsVault = [...inputs.release.sinkMirrors, ...(inputs.back?.sinkMirrors ?? [])].length > 0;
  if (!needsVault) return [];
  const reasons = await Promise.all(
    inputs.regions.map((region) =>
      reasonsOf(
        inputs,
        region,
        moving.filter((member) => member.region === region),
      ),
    ),
  );
  return reasons.flat().map((reason) => ({ property: "regions", reason }));
}

async function reasonsOf(
  { environment, release }: WaveInputs,
  region: RegionTarget,
  moving: readonly WaveMember[],
): Promise<string[]> {
  if (region.vaultAddress === undefined || region.vaultToken === undefined)
    return [
      `region ${region.name} has no Vault, and ${release.pin} moves sealed data; set present.vault: true and name it`,
    ];
  try {
    const address = resolveReference(region.vaultAddress);
    const session = new VaultSession({ address, token: resolveReference(region.vaultToken), deadlineMs: 3000 });
    await session.request("GET", "auth/token/lookup-self");
    const mount = region.transitMount ?? `transit-${environment}`;
    const keys = await listKeys(session, mount);
    // Keysets exist from the first sealed row on; before it, prepare makes the KEK.
    const sealed = moving.filter(({ tenant }) => tenant.states.some(({ position }) => position !== "off"));
    const without = sealed.map(({ tenant }) => tenant.id).filter((id) => !keys.has(`kek-${id}`));
    if (without.length === 0) return [];
    return [
      `region ${region.name}: ${without.length} tenants have sealed rows and no KEK in Vault at ${session.address}, ` +
        `e.g. ${mount}/keys/kek-${without[0]}; what they sealed opens with that key alone: restore Vault from a snapshot ` +
        `that has it (vault operator raft snapshot restore), then run this again`,
    ];
  } catch (error) {
    return [`region ${region.name}: ${(error as Error).message}`];
  }
}

/** Names of the mount's keys; none when the mount has not been made yet. */
async function listKeys(session: VaultSession, mount: string): Promise<ReadonlySet<unknown>> {
  try {
    const { data } = await session.request("GET", `${mount}/keys?list=true`);
    return new Set(Array.isArray(data["keys"]) ? (data["keys"] as unknown[]) : []);
  } catch (error) {
    if (error instanceof VaultError && error.reason === "missing-mount") return new Set();
    throw error;
  }
}
