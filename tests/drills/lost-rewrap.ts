import { join } from "node:path";
import type { Keyring } from "../../migrations/vault/keyring.ts";
import type { Transit } from "../../migrations/vault/transit.ts";
import { r1 } from "../migrations/mirror/tenant-fixture.ts";
import { getVault } from "../servers.ts";
import type { DrillCase } from "./drill.ts";
import { type DrillTenant, environment } from "./drill-tenant.ts";
import { judge } from "./judge.ts";
import type { Stage } from "./stage.ts";
import { Traffic } from "./traffic.ts";
import { VaultProxy } from "./vault-proxy.ts";

/** Answers lost while the KEK is changed for a newer version of itself. */
export const lostRewrapCases: readonly DrillCase[] = [
  {
    title: "Vault's answer to the rewrapping of the keysets is lost",
    async run(stage, random) {
      const tenant = await stage.tenant("switched");
      const traffic = new Traffic(tenant, stage.base, random);
      traffic.start();
      try {
        await using proxy = await VaultProxy.start(getVault().address);
        const { keyring, transit } = await openKeys(stage, tenant, proxy.address);
        await transit.rotate(tenant.tenant);
        const lost = proxy.set(/^POST \S+\/rewrap\//, "lose");
        const outcome = await keyring.rewrapAll();
        await lost;
        if (outcome.rewrapped !== 2) throw new Error(`${outcome.rewrapped} keysets were wrapped anew, there are two`);
        const again = await keyring.rewrapAll();
        if (again.rewrapped !== 0) throw new Error("keysets were wrapped anew twice");
        await tenant.move("prepare", r1);
        await tenant.move("cutover", r1);
      } finally {
        await traffic.stop();
      }
      await judge(tenant, traffic.log, "mirroring");
    },
  },
];

/** Keyring and transit of the engine under test, by way of a proxy. */
export async function openKeys(
  stage: Stage,
  { tenant, admin }: DrillTenant,
  address: string,
): Promise<{ keyring: Keyring; transit: Transit }> {
  const load = (file: string): Promise<unknown> => import(join(stage.migrationsFolder, "vault", file));
  const { Keyring: KeyringClass } = (await load("keyring.ts")) as { Keyring: typeof Keyring };
  const { Transit: TransitClass } = (await load("transit.ts")) as { Transit: typeof Transit };
  const transit = new TransitClass({ address, token: getVault().token, mount: `transit-${environment}` });
  return { keyring: new KeyringClass({ client: admin, transit, tenant }), transit };
}
