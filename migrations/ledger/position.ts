import type pg from "pg";

/** Where a mirror stands; see the table in the model. */
export type Position = "off" | "mirroring" | "switched" | "retired";

/** The two copies of a mirror. Exactly one is authoritative. */
export type Side = "source" | "sink";

/** What a run has begun and not ended; null between runs. */
export type Phase = "load" | "verify";

/** One row of `rc.mirror`. */
export interface MirrorState {
  readonly mirror: string;
  readonly position: Position;
  readonly epoch: bigint;
  /** Epoch in which the present copy began. */
  readonly sinceEpoch: bigint;
  readonly phase: Phase | null;
  readonly holder: string | null;
  readonly cancel: boolean;
  readonly pause: boolean;
}

/** The side that services read and write in this position. */
export function authorityOf(position: Position): Side {
  return position === "off" || position === "mirroring" ? "source" : "sink";
}

/** Whether both sides exist and capture runs, so that one short transaction can move authority. */
export function isMirrored(position: Position): boolean {
  return position === "mirroring" || position === "switched";
}

/** All mirrors of the tenant, by name; empty when the ledger does not exist yet. */
export async function readMirrors(client: pg.Client): Promise<Map<string, MirrorState>> {
  const ledger = await client.query<{ present: boolean }>("SELECT to_regclass('rc.mirror') IS NOT NULL AS present");
  if (ledger.rows[0]?.present !== true) return new Map();
  const found = await client.query<MirrorRow>(`SELECT ${mirrorColumns} FROM rc.mirror ORDER BY mirror`);
  return new Map(found.rows.map((row) => [row.mirror, mirrorState(row)]));
}

/** Makes the row of a mirror that the ledger does not know: position `off`. Idempotent. */
export async function ensureMirror(client: pg.Client, mirror: string): Promise<void> {
  await client.query("INSERT INTO rc.mirror (mirror) VALUES ($1) ON CONFLICT DO NOTHING", [mirror]);
}

/** Columns that `mirrorState` reads. */
export const mirrorColumns = "mirror, position, epoch, since_epoch, phase, holder, cancel, pause";

/** A row of `rc.mirror` as the driver returns it. */
export interface MirrorRow {
  mirror: string;
  position: Position;
  epoch: string;
  since_epoch: string;
  phase: Phase | null;
  holder: string | null;
  cancel: boolean;
  pause: boolean;
}

/** Parses a row; epochs are bigint, which the driver returns as text. */
export function mirrorState(row: MirrorRow): MirrorState {
  return { ...row, epoch: BigInt(row.epoch), sinceEpoch: BigInt(row.since_epoch) };
}
