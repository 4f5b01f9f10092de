import pLimit from "p-limit";
import { type TenantResult, untouched } from "../mirror/job.ts";
import { authorityOf, isMirrored, type Position } from "../ledger/position.ts";
import type { WaveMember } from "../nodes/wave-members.ts";
import { resolveReference } from "../reference.ts";
import { Transit } from "../vault/transit.ts";
import type { RegionTarget, WaveInputs } from "../wave-inputs.ts";
import { BackupFolder } from "./backup-folder.ts";
import { readProof, proofFaults } from "./proof.ts";
import { takeBackup } from "./take-backup.ts";

/** A dump this young, taken before the same step, is not repeated: a run that was killed goes on without another one. */
const reusableMs = 15 * 60_000;

/**
 * Dumps the members whose data the next step changes for the first time; removes their expired dumps. Without
 * `backup: {kind: dump}` nothing happens.
 *
 * @param members with positions from their own ledgers
 * @returns results of those that could not be dumped: they must not be touched
 */
export async function dumpBefore(inputs: WaveInputs, members: readonly WaveMember[]): Promise<TenantResult[]> {
  const { backup, environment, kind, release } = inputs;
  if (backup?.kind !== "dump") return [];
  const folder = new BackupFolder(resolveReference(backup.to), environment);
  const before = `${kind} ${release.pin}`;
  const limit = pLimit(inputs.concurrency);
  const results = await limit.map(members, async ({ tenant, region }): Promise<TenantResult[]> => {
    try {
      const known = await folder.list(tenant.id);
      for (const { manifest, isExpired } of known) if (isExpired) await folder.remove(tenant.id, manifest.id);
      const isFresh = known.some(
        ({ manifest }) => manifest.before === before && Date.now() - Date.parse(manifest.takenAt) < reusableMs,
      );
      if (isFresh) return [];
      const { keepDays } = backup;
      const transit = transitOf(environment, region);
      const database = tenant.database;
      await takeBackup({ environment, region, tenant: tenant.id, database, folder, transit, keepDays, before });
      return [];
    } catch (error) {
      return [untouched(tenant.id, "failed", `backup: ${(error as Error).message}; nothing of the tenant was changed`)];
    }
  });
  return results.flat();
}

/** Members of which `prepare` builds the other side of a mirror: whose data is about to be changed for the first time. */
export function aboutToBuild({ release }: WaveInputs, members: readonly WaveMember[]): WaveMember[] {
  return members.filter(({ tenant }) => {
    const positions = new Map<string, Position>(tenant.states.map(({ mirror, position }) => [mirror, position]));
    const isBuilt = (mirror: string, position: Position): boolean => {
      const goal = release.sinkMirrors.includes(mirror) ? "sink" : "source";
      return isMirrored(position) || authorityOf(position) === goal;
    };
    const mirrors = new Set([...positions.keys(), ...release.sinkMirrors]);
    return [...mirrors].some((mirror) => !isBuilt(mirror, positions.get(mirror) ?? "off"));
  });
}

/** Removes the dumps that were taken before a wave was prepared: with the way back closed their window is, too. */
export async function closeWindow(inputs: WaveInputs, tenants: readonly string[]): Promise<void> {
  const { backup, environment } = inputs;
  if (backup?.kind !== "dump") return;
  const folder = new BackupFolder(resolveReference(backup.to), environment);
  for (const tenant of tenants)
    for (const { manifest } of await folder.list(tenant))
      if (manifest.before.startsWith("prepare ")) await folder.remove(tenant, manifest.id);
}

/** Why the environment's backups do not allow a first mutation now; empty when they do. */
export async function backupRefusals(backup: WaveInputs["backup"]): Promise<string[]> {
  if (backup === undefined) return [];
  try {
    if (backup.kind === "dump") {
      // Resolving and parsing is what can be said before anything is written.
      new BackupFolder(resolveReference(backup.to), "any");
      return [];
    }
    const command = /^(env|vault):/.test(backup.proof) ? resolveReference(backup.proof) : backup.proof;
    return proofFaults(await readProof(command), new Date()).map((fault) => `backup.proof: ${fault}`);
  } catch (error) {
    return [(error as Error).message];
  }
}

function transitOf(environment: string, { name, vaultAddress, vaultToken, transitMount }: RegionTarget): Transit {
  if (vaultAddress === undefined || vaultToken === undefined)
    throw new Error(
      `region ${name} has no Vault to keep the key of a sealed dump; set present.vault: true and name it`,
    );
  return new Transit({
    address: resolveReference(vaultAddress),
    token: resolveReference(vaultToken),
    mount: transitMount ?? `transit-${environment}`,
  });
}
