import type { Position } from "../../migrations/ledger/position.ts";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import type { DrillTenant } from "./drill-tenant.ts";
import { ledgerFaults } from "./ledger-check.ts";
import type { OperationLog } from "./operation-log.ts";
import { assertNoFaults, findFaults, tenantDigest } from "./oracle.ts";
import { clearBodies, sealedBodies } from "./stored-bodies.ts";

/**
 * The end of a case, after the writers have stopped: every acknowledged write on the authoritative side, a ledger that
 * agrees with itself, and - once drained - the same digest on the other side.
 *
 * @param wanted where the tenant has to be
 * @throws {Error} naming what was lost, added or left wrong
 */
export async function judge(
  tenant: DrillTenant,
  log: OperationLog,
  wanted: Position,
  options: { isRepairAllowed?: boolean } = {},
): Promise<void> {
  const position = await tenant.position();
  if (position !== wanted) throw new Error(`the tenant is ${position}, it should be ${wanted}`);
  assertNoFaults("ledger", await ledgerFaults(tenant.admin, position, options.isRepairAllowed));
  const isOnSink = position === "switched" || position === "retired";
  const authoritative = await (isOnSink ? sealedBodies : clearBodies)(tenant.place);
  assertNoFaults(isOnSink ? "sealed side" : "side in clear", findFaults(log, authoritative));
  if (position === "off" || position === "retired") return;
  await tenant.move("prepare", isOnSink ? r1 : r2); // drains, changes nothing else
  const other = await (isOnSink ? clearBodies : sealedBodies)(tenant.place);
  assertNoFaults(isOnSink ? "drained side in clear" : "drained sealed side", findFaults(log, other));
  if (tenantDigest(other) !== tenantDigest(authoritative)) throw new Error("the digests of the two sides differ");
}
