import type pg from "pg";
import { LedgerError } from "./ledger/ledger-error.ts";
import { authorityOf, isMirrored, type MirrorState, readMirrors } from "./ledger/position.ts";
import { readRanges } from "./ledger/range.ts";
import { checkRanges } from "./ledger/range-check.ts";
import type { Carriage } from "./mirror/carrier.ts";
import type { RowDifference } from "./mirror/compare.ts";
import { openCarriage } from "./mirror/open-carriage.ts";
import { type Lane, laneFrom, readShapes } from "./mirror/pair-shape.ts";
import { sealedCarrier } from "./mirror/sealed-carrier.ts";
import { type PayloadCodec, Sealing } from "./mirror/sealing.ts";
import { getMirror } from "./mirrors.ts";
import { connect } from "./postgres/connect.ts";
import { inSnapshot } from "./postgres/transaction.ts";
import { resolveReference } from "./reference.ts";
import { OpenError } from "./tink/aead.ts";
import { KeyringError } from "./vault/opened-keyset.ts";
import type { RegionTarget } from "./wave-inputs.ts";

/** A row, or a row of the ledger, that is not what it should be. Never holds a payload. */
export interface RowFault {
  readonly tenant: string;
  readonly table: string;
  /** Text of the row's key, or the range of the ledger. */
  readonly key: string;
  readonly reason: string;
}

/** What a comparison of a tenant's rows has covered and found. */
export interface RowCheck {
  readonly tenant: string;
  /** Rows that were compared side by side. */
  readonly compared: number;
  /** Ranges of all mirrors, and those of them that were also held to their signed root. */
  readonly ranges: number;
  readonly rootedRanges: number;
  /** Mirrors with one side only, or under way: there is nothing to compare their rows with. */
  readonly uncompared: readonly string[];
  readonly faults: readonly RowFault[];
}

/**
 * Compares every row of a tenant's mirrors that has no captured change with its other side, range by range, each in one
 * snapshot; and holds each range into which no change was drained since it was compared to the root that was signed then.
 * Rows are read as `rc_reader`, keysets in a read-only session; nothing is written.
 *
 * @throws {PostgresError} {VaultError} a server does not answer
 */
export async function checkRows(
  environment: string,
  tenant: { readonly id: string; readonly database: string },
  region: RegionTarget,
): Promise<RowCheck> {
  const session = (role: string): Promise<pg.Client> =>
    connect({
      url: resolveReference(region.postgresUrl),
      database: tenant.database,
      role,
      applicationName: `rc-verify ${tenant.id}`,
      isReadOnly: true,
    });
  const opened: pg.Client[] = [];
  try {
    const rows = await session("rc_reader");
    opened.push(rows);
    const keys = await session("rc_migrator");
    opened.push(keys);
    const found = { compared: 0, ranges: 0, rootedRanges: 0, uncompared: [] as string[], faults: [] as RowFault[] };
    for (const state of (await readMirrors(rows)).values()) {
      if (!isMirrored(state.position) || state.phase !== null) {
        found.uncompared.push(`${state.mirror} is ${state.phase === null ? state.position : "being built"}`);
        continue;
      }
      const one = await checkMirror(rows, keys, environment, tenant.id, region, state);
      found.compared += one.compared;
      found.ranges += one.ranges;
      found.rootedRanges += one.rootedRanges;
      found.faults.push(...one.faults);
    }
    return { tenant: tenant.id, ...found };
  } finally {
    await Promise.all(opened.map((client) => client.end().catch(() => {})));
  }
}

type MirrorCheck = Omit<RowCheck, "tenant" | "uncompared">;

async function checkMirror(
  rows: pg.Client,
  keys: pg.Client,
  environment: string,
  tenant: string,
  region: RegionTarget,
  { mirror, position }: MirrorState,
): Promise<MirrorCheck> {
  const definition = getMirror(mirror);
  const shapes = await readShapes(rows, definition);
  const carriage = openCarriage(keys, { environment, tenant, region }, definition);
  const check = { compared: 0, ranges: 0, rootedRanges: 0, faults: [] as RowFault[] };
  try {
    const keysetVersion = await carriage.keysetVersion();
    const pairs = shapes.map((shape) => shape.id);
    await checkRanges(rows, await carriage.macs(), { tenant, mirror, pairs, isComplete: true, keysetVersion });
  } catch (error) {
    if (!(error instanceof LedgerError) && !(error instanceof KeyringError)) throw error;
    const table = error instanceof LedgerError ? "rc.range" : "rc.keyset";
    check.faults.push({ tenant, table, key: mirror, reason: error.message });
    // Without its keysets nothing opens; without its ledger rows are still compared side by side.
    if (table === "rc.keyset") return check;
  }
  try {
    for (const shape of shapes) {
      const lane = laneFrom(shape, authorityOf(position));
      for (const { ordinal } of await readRanges(rows, mirror, lane.id)) {
        const one = await checkRange(rows, lane, ordinal, carriage);
        check.ranges += 1;
        check.compared += one.compared;
        check.rootedRanges += one.isRooted ? 1 : 0;
        check.faults.push(...one.faults.map((fault) => ({ tenant, ...fault })));
      }
    }
  } finally {
    await carriage.close?.();
  }
  return check;
}

interface RangeResult {
  readonly compared: number;
  readonly isRooted: boolean;
  readonly faults: readonly Omit<RowFault, "tenant">[];
}

/** The ledger row is read in the snapshot of its rows: a change that is drained meanwhile takes the root away. */
async function checkRange(client: pg.Client, lane: Lane, ordinal: number, carriage: Carriage): Promise<RangeResult> {
  const carrier =
    carriage instanceof Sealing
      ? sealedCarrier(namingUnknownKeys(await carriage.codec(lane.pair)))
      : await carriage.carrier(lane.pair);
  return inSnapshot(client, async () => {
    const [range] = await readRanges(client, lane.mirror, lane.id, "ordinal = $3", [ordinal]);
    if (range === undefined) return { compared: 0, isRooted: false, faults: [] };
    const faults: Omit<RowFault, "tenant">[] = [];
    const note = ({ key, side, reason }: RowDifference): void => {
      faults.push({ table: side === "from" ? lane.from.name : lane.to.name, key, reason });
    };
    const { compared, digest, hasCaptured } = await carrier.compareRange(client, lane, range, note);
    const isRooted = range.root !== null && !hasCaptured;
    if (isRooted && faults.length === 0 && !carrier.macs.isRoot(range, digest)) {
      const reason =
        "both sides hold the same rows, but not those that were compared and signed, and no change was captured since: somebody wrote to both past the triggers";
      faults.push({ table: lane.id, key: `range ${ordinal} of rc.range`, reason });
    }
    return { compared, isRooted, faults };
  });
}

/** A row under a key that nobody has is a fault of that row, and no reason to stop. */
function namingUnknownKeys(codec: PayloadCodec): PayloadCodec {
  return {
    ...codec,
    findDifference(key, plain, sealed) {
      try {
        return codec.findDifference(key, plain, sealed);
      } catch (error) {
        if (error instanceof OpenError) return error.message;
        throw error;
      }
    },
  };
}
