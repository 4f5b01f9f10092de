import { r1 } from "../migrations/mirror/tenant-fixture.ts";
import { getVault } from "../servers.ts";
import type { DrillCase } from "./drill.ts";
import { judge } from "./judge.ts";
import { openKeys } from "./lost-rewrap.ts";
import { Traffic } from "./traffic.ts";
import { VaultProxy } from "./vault-proxy.ts";

/** Vault answers a batch with HTTP 200 although one of its items has failed. */
export const badItemCase: DrillCase = {
  title: "one bad item in a batch that Vault rewraps: nothing is stored, the next try wraps all",
  async run(stage, random) {
    const tenant = await stage.tenant("switched");
    const traffic = new Traffic(tenant, stage.base, random);
    traffic.start();
    try {
      await using proxy = await VaultProxy.start(getVault().address);
      const { keyring, transit } = await openKeys(stage, tenant, proxy.address);
      await transit.rotate(tenant.tenant);
      const stored = async () =>
        (await tenant.admin.query("SELECT class, encode(encrypted, 'hex') AS bytes FROM rc.keyset ORDER BY class"))
          .rows;
      const before = JSON.stringify(await stored());
      const alter = (answer: string) => {
        const { data, ...rest } = JSON.parse(answer) as { data: { batch_results: object[] } };
        const items = data.batch_results.with(random.below(data.batch_results.length), { error: "internal error" });
        return JSON.stringify({ ...rest, data: { ...data, batch_results: items } });
      };
      const altered = proxy.set(/^POST \S+\/rewrap\//, { alter });
      const reason = await keyring.rewrapAll().then(
        () => "nothing: it went well",
        (error: Error) => error.message,
      );
      await altered;
      if (!/^tenant \S+: the KEK \S+ .* refuses the request/.test(reason)) throw new Error(`the reason is ${reason}`);
      if (JSON.stringify(await stored()) !== before)
        throw new Error("a keyset was stored although its batch had failed");
      const { rewrapped } = await keyring.rewrapAll();
      if (rewrapped !== 2) throw new Error(`the next try wrapped ${rewrapped} keysets anew, there are two`);
      await tenant.move("prepare", r1);
      await tenant.move("cutover", r1);
    } finally {
      await traffic.stop();
    }
    await judge(tenant, traffic.log, "mirroring");
  },
};
