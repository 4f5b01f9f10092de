// A backup or a restore in a process of its own, so that a fault point can kill it: one JSON order in the environment.
import { BackupFolder } from "../../../migrations/backup/backup-folder.ts";
import { restoreBackup } from "../../../migrations/backup/restore-backup.ts";
import { planRestore } from "../../../migrations/backup/restore-plan.ts";
import { takeBackup } from "../../../migrations/backup/take-backup.ts";
import { Registry } from "../../../migrations/registry/registry.ts";
import { tenantDatabase } from "../../../migrations/registry/tenant-id.ts";
import { Transit } from "../../../migrations/vault/transit.ts";
import { r1, r2 } from "../onboarding-fixture.ts";

/** What the process is to do. */
export interface Act {
  readonly act: "take" | "restore";
  readonly tenant: string;
  readonly id?: string;
}

const order = JSON.parse(process.env["RC_TEST_ACT"] ?? "{}") as Act & { root: string; registryUrl: string };
const { tenant } = order;
const region = {
  name: "local",
  postgresUrl: "env:ONB_POSTGRES_URL",
  vaultAddress: "env:ONB_VAULT_ADDR",
  vaultToken: "env:ONB_VAULT_TOKEN",
};
const folder = new BackupFolder(order.root, "onb");
const address = process.env["ONB_VAULT_ADDR"] ?? "";
const transit = new Transit({ address, token: process.env["ONB_VAULT_TOKEN"], mount: "transit-onb" });
const database = tenantDatabase(tenant);
if (order.act === "take")
  await takeBackup({ environment: "onb", region, tenant, database, folder, transit, keepDays: 7, before: "request" });
else {
  const registry = new Registry(order.registryUrl);
  const target = {
    environment: "onb",
    region,
    tenant: await registry.tenants.get(tenant),
    folder,
    transit,
    registry,
    releases: [r1, r2],
    releaseRoles: [r1.role, r2.role],
  };
  await restoreBackup(target, await planRestore(target, order.id));
  await registry.close();
}
