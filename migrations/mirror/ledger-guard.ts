import type pg from "pg";
import { LedgerError } from "../ledger/ledger-error.ts";
import { note } from "../ledger/journal.ts";
import { readFrontier } from "../ledger/range.ts";
import { checkRanges } from "../ledger/range-check.ts";
import { VaultError } from "../vault/vault-error.ts";
import { keyList, within } from "./key-space.ts";
import type { Lane, PairShape } from "./pair-shape.ts";
import type { Run } from "./run.ts";
import type { Carriage } from "./carrier.ts";

/**
 * Opens the mirror's keysets, makes them where nothing was sealed or signed yet, before anything else is written.
 *
 * @throws {KeyringError} a keyset is gone although it was used, or is not what its row says
 * @throws {VaultError}
 */
export async function openKeysets(client: pg.Client, shapes: readonly PairShape[], carriage: Carriage): Promise<void> {
  const mirror = shapes[0]?.mirror ?? "";
  await carriage.ensure({
    async sealed() {
      for (const { sink } of shapes) {
        if (sink === undefined) continue;
        const found = await client.query(`SELECT FROM ${sink.quoted} LIMIT 1`);
        if ((found.rowCount ?? 0) > 0) return `table ${sink.name} holds rows sealed with it`;
      }
      return undefined;
    },
    async signed() {
      const found = await client.query("SELECT FROM rc.range WHERE mirror = $1 LIMIT 1", [mirror]);
      return (found.rowCount ?? 0) > 0 ? `rows of rc.range are signed with it` : undefined;
    },
  });
}

/**
 * Refuses to go on from a ledger that somebody has edited; see `checkRanges`.
 *
 * @param isComplete whether the copy has ended, so that its ranges reach from end to end
 * @throws {LedgerError} @throws {KeyringError} @throws {VaultError}
 */
export async function refuseEdited(
  run: Run,
  shapes: readonly PairShape[],
  carriage: Carriage,
  isComplete: boolean,
): Promise<void> {
  const { control } = run.sessions;
  await openKeysets(control, shapes, carriage);
  await checkRanges(control, await carriage.macs(), {
    ...scopeOf(run, shapes),
    isComplete,
    keysetVersion: await carriage.keysetVersion(),
  });
}

/**
 * `refuseEdited` for the way back, which a tenant without waiting changes can take while Vault is away: then the ranges
 * are only held to each other, and the journal says so.
 */
export async function refuseEditedUnlessVaultIsAway(
  run: Run,
  shapes: readonly PairShape[],
  carriage: Carriage,
): Promise<void> {
  try {
    await refuseEdited(run, shapes, carriage, true);
  } catch (error) {
    if (!(error instanceof VaultError) || !error.isTransient) throw error;
    const scope = scopeOf(run, shapes);
    await checkRanges(run.sessions.control, undefined, { ...scope, isComplete: true });
    await run.write(scope.mirror, (client) =>
      note(client, { mirror: scope.mirror, event: "unchecked", detail: { macs: "not checked", vault: error.reason } }),
    );
  }
}

/**
 * Refuses to resume a copy whose other side holds rows behind the last range of the ledger: the row of the chunk that
 * wrote them was deleted. Without this, copying that range again would only meet a duplicate key.
 *
 * @throws {LedgerError}
 */
export async function refuseStrayRows(run: Run, lane: Lane): Promise<void> {
  const { control } = run.sessions;
  const frontier = await readFrontier(control, lane.mirror, lane.id);
  if (frontier === null) return;
  const lower = frontier === "nothing" ? null : frontier;
  const columns = keyList(lane.keys);
  const found = await control.query(
    `SELECT FROM ${lane.to.quoted} WHERE ${within(columns, lane.keys, { lower, upper: null })} LIMIT 1`,
  );
  if (found.rowCount === 0) return;
  throw new LedgerError(
    `tenant ${run.job.tenant}: the ledger of ${lane.mirror} was edited: ${lane.to.name} holds rows behind the last range of ` +
      `${lane.id} in rc.range, the row of their chunk is gone. Nothing was copied: finalize the mirror away and prepare it again (coordinator finalize)`,
  );
}

function scopeOf(run: Run, shapes: readonly PairShape[]): { tenant: string; mirror: string; pairs: string[] } {
  return { tenant: run.job.tenant, mirror: shapes[0]?.mirror ?? "", pairs: shapes.map((shape) => shape.id) };
}
