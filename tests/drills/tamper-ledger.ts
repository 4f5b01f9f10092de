import { setTimeout as sleep } from "node:timers/promises";
import { generateKeyset, encodeEncryptedKeyset, encodeKeyset } from "../../migrations/tink/keyset.ts";
import { Transit } from "../../migrations/vault/transit.ts";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import { getVault } from "../servers.ts";
import type { DrillCase } from "./drill.ts";
import { type DrillTenant, environment, mirror } from "./drill-tenant.ts";
import { assertClosed } from "./expect-closed.ts";
import { judge } from "./judge.ts";
import { Traffic } from "./traffic.ts";

/** A way back that needs the keys, with a keyset that is not what it was. */
function keyset(
  title: string,
  sql: string,
  reason: RegExp,
  value?: (tenant: DrillTenant) => Promise<Buffer>,
): DrillCase {
  return {
    title,
    async run(stage) {
      const tenant = await stage.tenant("retired");
      await tenant.undoContract();
      await tenant.admin.query(sql, value === undefined ? [] : [await value(tenant)]);
      assertClosed(await tenant.start("prepare", r1).ended(), reason);
    },
  };
}

const foreign = async (): Promise<Buffer> => {
  const transit = new Transit({ ...getVault(), mount: `transit-${environment}` });
  await transit.ensureKek("drl-other");
  return encodeEncryptedKeyset(await transit.wrap("drl-other", encodeKeyset(generateKeyset())));
};

/** The copy was cut short by a kill; then a ledger row of it is edited: it may fail, it may not end with rows missing. */
function ledger(title: string, sql: string): DrillCase {
  return {
    title,
    async run(stage, random) {
      const tenant = await stage.tenant("off");
      const traffic = new Traffic(tenant, stage.base, random);
      await tenant.kill("prepare", r2, "chunk.commit.after:2");
      await tenant.admin.query(sql);
      const results = [];
      for (const kind of ["prepare", "cutover"] as const) results.push(await tenant.start(kind, r2).ended());
      if (results.every((result) => result?.status === "done")) {
        return judge(tenant, traffic.log, "switched", { isRepairAllowed: true });
      }
      assertClosed(
        results.find((result) => result?.status !== "done"),
        /./,
      );
      if ((await tenant.position()) === "switched") throw new Error("authority has moved all the same");
    },
  };
}

export const ledgerTamperings: readonly DrillCase[] = [
  {
    title: "a range deleted from the ledger with its rows: a gap in the tiling stops the cutover",
    async run(stage) {
      const tenant = await stage.tenant("mirroring");
      await tenant.admin.query(
        `WITH gone AS (DELETE FROM rc.range WHERE pair = 'prompt_bodies' AND ordinal = 1 RETURNING lower[1] AS low, upper[1] AS high)
         DELETE FROM prompt_bodies_sealed USING gone
         WHERE (low IS NULL OR prompt_id > low::uuid) AND (high IS NULL OR prompt_id <= high::uuid)`,
      );
      await tenant.start("prepare", r2).ended();
      assertClosed(await tenant.start("cutover", r2).ended(), /gap|tile/);
    },
  },
  {
    title: "the position changed by hand while changes wait: authority does not move with it",
    async run(stage, random) {
      const tenant = await stage.tenant("mirroring");
      const traffic = new Traffic(tenant, stage.base, random);
      await traffic.burst(5);
      const write = (position: string): Promise<unknown> =>
        tenant.admin.query("UPDATE rc.mirror SET position = $2 WHERE mirror = $1", [mirror, position]);
      await write("switched");
      assertClosed(await tenant.start("cutover", r2).ended(), /not captured although the ledger says so/);
      await write("mirroring");
      await traffic.burst(5);
      await traffic.stop();
      for (const kind of ["prepare", "cutover"] as const) await tenant.move(kind, r2);
      await judge(tenant, traffic.log, "switched");
    },
  },
  keyset(
    "a bit of the keyset flipped",
    "UPDATE rc.keyset SET encrypted = set_byte(encrypted, 60, get_byte(encrypted, 60) # 1) WHERE class = 'prompt'",
    /./,
  ),
  keyset("the keyset of another tenant", "UPDATE rc.keyset SET encrypted = $1 WHERE class = 'prompt'", /./, foreign),
  keyset(
    "the keysets of two classes swapped",
    "UPDATE rc.keyset AS k SET encrypted = o.encrypted FROM rc.keyset AS o WHERE o.class <> k.class",
    /key/,
  ),
  keyset("the keyset deleted", "DELETE FROM rc.keyset WHERE class = 'prompt'", /key/),
  ledger(
    "the first range deleted from the ledger",
    "DELETE FROM rc.range WHERE pair = 'prompt_bodies' AND ordinal = 0",
  ),
  ledger("the last range deleted from the ledger", "DELETE FROM rc.range WHERE pair = 'prompt_bodies' AND ordinal = 1"),
  ledger(
    "the end of a range moved up",
    "UPDATE rc.range SET upper = '{ffffffff-0000-0000-0000-000000000000}' WHERE ordinal = 1",
  ),
  {
    title: "the epoch raised by hand in the middle of a copy",
    async run(stage, random) {
      const tenant = await stage.tenant("off");
      const traffic = new Traffic(tenant, stage.base, random);
      const run = tenant.start("prepare", r2, { at: "chunk.commit.after", signal: "SIGSTOP" });
      await run.stopped();
      await tenant.admin.query("UPDATE rc.mirror SET epoch = epoch + 1 WHERE mirror = $1", [mirror]);
      run.wake();
      assertClosed(await run.ended(), /taken over/);
      await sleep(50);
      for (const kind of ["prepare", "cutover"] as const) await tenant.move(kind, r2);
      await judge(tenant, traffic.log, "switched");
    },
  },
];
