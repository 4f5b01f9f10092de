// A rotation in a process of its own, so that a fault point can kill it.
import { execa } from "execa";
import pg from "pg";
import { rotateKek } from "../../../migrations/keys/rotate-kek.ts";
import type { CustodyPoint } from "../../../migrations/mirror/fault-point.ts";
import { Transit } from "../../../migrations/vault/transit.ts";
import { databaseUrl, getVault } from "../../servers.ts";
import { environment, type TestTenant } from "../mirror/tenant-fixture.ts";

interface Order {
  readonly url: string;
  readonly vault: { readonly address: string; readonly token: string };
  readonly tenant: string;
}

/** Rotates a tenant's KEK until it dies. @throws {Error} it did not get there */
export async function killedRotation({ tenant, database }: TestTenant, at: CustodyPoint): Promise<void> {
  const order: Order = { url: databaseUrl(database), vault: getVault(), tenant };
  const ended = await execa(process.execPath, [import.meta.filename], {
    env: { RC_TEST_ORDER: JSON.stringify(order), RC_FAULT_POINT: at },
    reject: false,
  });
  if (ended.signal !== "SIGKILL") throw new Error(`the rotation did not reach ${at}: ${ended.stderr}`);
}

if (process.argv[1] === import.meta.filename) {
  const order = JSON.parse(process.env["RC_TEST_ORDER"] ?? "{}") as Order;
  const client = new pg.Client({ connectionString: order.url });
  await client.connect();
  const transit = new Transit({ ...order.vault, mount: `transit-${environment}` });
  await rotateKek({ client, transit, tenant: order.tenant, minAgeMs: 0, oldestLiveBackup: undefined });
  await client.end();
}
