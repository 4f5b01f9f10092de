import type pg from "pg";
import { LedgerError } from "../ledger/ledger-error.ts";
import { isMirrored, type Side } from "../ledger/position.ts";
import { findWhereabouts } from "../ledger/whereabouts.ts";
import type { ReleaseTarget } from "../wave-inputs.ts";
import { findCaptured } from "./capture.ts";
import { releaseRoles, type TenantJob } from "./job.ts";
import type { PairShape, TableShape } from "./pair-shape.ts";
import type { MirrorGoal } from "./plan.ts";

/**
 * Refuses a mirror whose position, phase or authority in `rc.mirror` is not what the rest of the database shows. Capture,
 * privileges and whereabouts change in the transaction that changes the position, so they differ only when somebody has
 * edited one of them.
 *
 * @param shapes tables of the mirror as the catalog has them
 * @throws {LedgerError} naming tenant, mirror and what contradicts its position
 */
export async function refuseContradictions(
  client: pg.Client,
  job: Pick<TenantJob, "tenant" | "release" | "back" | "releaseRoles">,
  goal: MirrorGoal,
  shapes: readonly PairShape[],
): Promise<void> {
  const { definition, position, authority, isUnderWay } = goal;
  const found: string[] = [];
  // While a copy is built capture may be missing on purpose: its table was made anew, and the copy is begun again.
  if (!isUnderWay) found.push(...(await captureFaults(client, goal, shapes)));
  const wanted = await wantedByWhereabouts(client, job, definition.name);
  if (wanted !== undefined && wanted.side !== authority) {
    found.push(`rc.whereabouts says ${wanted.release}, which runs with the ${wanted.side}`);
  }
  found.push(...(await privilegeFaults(client, releaseRoles(job), authority, shapes)));
  if (found.length === 0) return;
  throw new LedgerError(
    `tenant ${job.tenant}: rc.mirror says that ${definition.name} is ${position}${isUnderWay ? " and being built" : ""}, but ${found.join("; ")}. ` +
      `Somebody has edited one of them; nothing was moved: put back what was edited, see rc.journal for the last true position`,
  );
}

async function captureFaults(
  client: pg.Client,
  { position, authority }: MirrorGoal,
  shapes: readonly PairShape[],
): Promise<string[]> {
  const watched = isMirrored(position) ? shapes.map((shape) => shape[authority]) : [];
  const tables = shapes.flatMap((shape) => [shape.source, shape.sink]).filter((table) => table !== undefined);
  const captured = await findCaptured(client, tables, true);
  const surplus = tables.filter((table) => captured.includes(table.quoted) && !watched.includes(table));
  const blind = watched.filter((table): table is TableShape => table !== undefined && !captured.includes(table.quoted));
  return [
    ...(surplus.length > 0 ? [`changes of ${names(surplus)} are captured`] : []),
    ...(blind.length > 0 ? [`changes of ${names(blind)} are not captured although the ledger says so`] : []),
  ];
}

/** The side that the release in rc.whereabouts runs with, if the job knows that release. */
async function wantedByWhereabouts(
  client: pg.Client,
  job: Pick<TenantJob, "release" | "back">,
  mirror: string,
): Promise<{ readonly release: string; readonly side: Side } | undefined> {
  const whereabouts = await findWhereabouts(client);
  const known: readonly (ReleaseTarget | undefined)[] = [job.release, job.back];
  const release = known.find((one) => one !== undefined && one.pin === whereabouts?.pin);
  if (release === undefined) return undefined;
  return { release: release.pin, side: release.sinkMirrors.includes(mirror) ? "sink" : "source" };
}

async function privilegeFaults(
  client: pg.Client,
  roles: readonly string[],
  authority: Side,
  shapes: readonly PairShape[],
): Promise<string[]> {
  const other: Side = authority === "source" ? "sink" : "source";
  const open: string[] = [];
  for (const shape of shapes) {
    const [inactive, active] = [shape[other], shape[authority]];
    if (inactive === undefined || active === undefined) continue;
    const allowed = await client.query<{ name: string }>(
      `SELECT rolname AS name FROM pg_roles WHERE rolname = ANY($1) AND NOT rolsuper
         AND has_table_privilege(oid, $2, 'INSERT') AND NOT has_table_privilege(oid, $3, 'INSERT') ORDER BY rolname`,
      [roles, inactive.quoted, active.quoted],
    );
    open.push(...allowed.rows.map(({ name }) => `${name} may write ${inactive.name} and not ${active.name}`));
  }
  return open;
}

function names(tables: readonly TableShape[]): string {
  return tables.map((table) => table.name).join(", ");
}
