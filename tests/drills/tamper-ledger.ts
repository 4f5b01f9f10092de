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

/** A way back that needs the keys, with a keyset that is not what it was: refused before anything is written. */
function keyset(
  title: string,
  sql: string,
  reason: RegExp,
  value?: (tenant: DrillTenant) => Promise<Buffer>,
  before?: (tenant: DrillTenant) => Promise<unknown>,
): DrillCase {
  return {
    title,
    async run(stage) {
      const tenant = await stage.tenant("retired");
      await tenant.undoContract();
      await before?.(tenant);
      await tenant.admin.query(sql, value === undefined ? [] : [await value(tenant)]);
      const written = async (): Promise<string> =>
        JSON.stringify(
          (
            await tenant.admin.query(
              `SELECT (SELECT json_agg(k) FROM rc.keyset AS k) AS keysets, (SELECT count(*) FROM rc.range) AS ranges,
                 (SELECT max(id) FROM rc.journal) AS entry, (SELECT count(*) FROM prompt_bodies) AS rows`,
            )
          ).rows,
        );
      const seen = await written();
      assertClosed(await tenant.start("prepare", r1).ended(), reason);
      if ((await written()) !== seen) throw new Error("something was written before it was refused");
    },
  };
}

const foreign = async (): Promise<Buffer> => {
  const transit = new Transit({ ...getVault(), mount: `transit-${environment}` });
  await transit.ensureKek("drl-other");
  return encodeEncryptedKeyset(await transit.wrap("drl-other", encodeKeyset(generateKeyset())));
};

/** The copy was cut short by a kill; then a ledger row of it is edited: the resume is refused and names what it found. */
function resumed(title: string, sql: string, reason: RegExp): DrillCase {
  return {
    title: `${title}, in the middle of a copy`,
    async run(stage) {
      const tenant = await stage.tenant("off");
      await tenant.kill("prepare", r2, "chunk.commit.after:2");
      await tenant.admin.query(sql);
      for (const kind of ["prepare", "prepare"] as const) assertClosed(await tenant.start(kind, r2).ended(), reason);
      if ((await tenant.position()) !== "off") throw new Error("the position has moved all the same");
    },
  };
}

/** Both sides are there; then the ledger is edited: every step that would trust it is refused, there and back. */
function edited(position: "mirroring" | "switched", title: string, sql: string, reason: RegExp): DrillCase {
  return {
    title: `${title}, while ${position}`,
    async run(stage) {
      const tenant = await stage.tenant(position);
      const release = position === "mirroring" ? r2 : r1;
      await tenant.admin.query(sql);
      for (const kind of ["prepare", "cutover"] as const)
        assertClosed(await tenant.start(kind, release).ended(), reason);
      const stays = await tenant.admin.query("SELECT release FROM rc.whereabouts");
      if (stays.rows[0]?.release === release.id) throw new Error("the tenant has moved all the same");
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
    /did not wrap this|not encrypted by Vault|refuses the request/,
  ),
  resumed(
    "the first range deleted from the ledger",
    "DELETE FROM rc.range WHERE pair = 'prompt_bodies' AND ordinal = 0",
    /gap or an overlap before rc\.range \(prompt_bodies, ordinal 1\)/,
  ),
  keyset(
    "the keyset of another tenant",
    "UPDATE rc.keyset SET encrypted = $1 WHERE class = 'prompt'",
    /did not wrap this/,
    foreign,
  ),
  resumed(
    "the last range deleted from the ledger",
    "DELETE FROM rc.range WHERE pair = 'prompt_bodies' AND ordinal = 1",
    /prompt_bodies_sealed holds rows behind the last range of prompt_bodies/,
  ),
  keyset(
    "the keysets of two classes swapped",
    "UPDATE rc.keyset AS k SET encrypted = o.encrypted FROM rc.keyset AS o WHERE o.class <> k.class",
    /keyset prompt version 1 in rc\.keyset was not stored there/,
  ),
  edited(
    "mirroring",
    "the number of rows of a range",
    "UPDATE rc.range SET rows = rows + 1 WHERE pair = 'message_bodies' AND ordinal = 0",
    /the MAC of rc\.range \(message_bodies, ordinal 0\) does not match/,
  ),
  keyset(
    "the keyset deleted, although rows are sealed with it",
    "DELETE FROM rc.keyset WHERE class = 'prompt'",
    /has no keyset prompt in rc\.keyset, although version 1 was stored once/,
  ),
  keyset(
    "the keyset and its head deleted, although rows are sealed with it",
    "WITH gone AS (DELETE FROM rc.keyset_head) DELETE FROM rc.keyset WHERE class = 'prompt'",
    /has no keyset prompt in rc\.keyset, although table prompt_bodies_sealed holds rows/,
  ),
  keyset(
    "the newest version of the keyset deleted",
    "DELETE FROM rc.keyset WHERE class = 'prompt' AND version = 2",
    /keyset prompt version 1 in rc\.keyset is not the one stored last: rc\.keyset_head names version 2/,
    undefined,
    (tenant) => tenant.keyring().addKey("prompt"),
  ),
  keyset(
    "the newest version of the keyset overwritten with the one before",
    "UPDATE rc.keyset AS k SET encrypted = o.encrypted FROM rc.keyset AS o WHERE o.class = 'prompt' AND k.class = 'prompt' AND o.version = 1 AND k.version = 2",
    /keyset prompt version 2 in rc\.keyset was not stored there/,
    undefined,
    (tenant) => tenant.keyring().addKey("prompt"),
  ),
  edited(
    "switched",
    "a range said to be compared later than it was",
    "UPDATE rc.range SET verified_epoch = verified_epoch + 1 WHERE pair = 'prompt_bodies' AND ordinal = 0",
    /the MAC of rc\.range \(prompt_bodies, ordinal 0\) does not match/,
  ),
  resumed(
    "the end of a range moved up",
    "UPDATE rc.range SET upper = '{ffffffff-0000-0000-0000-000000000000}' WHERE ordinal = 1",
    /the MAC of rc\.range \(prompt_bodies, ordinal 1\) does not match/,
  ),
  edited(
    "mirroring",
    "ranges of two pairs swapped",
    "UPDATE rc.range SET mac = o.mac, root = o.root FROM rc.range AS o WHERE o.ordinal = 0 AND range.ordinal = 0 AND o.pair <> range.pair",
    /the MAC of rc\.range/,
  ),
  edited(
    "mirroring",
    "the position set to off",
    "UPDATE rc.mirror SET position = 'off'",
    /says that prompt-encryption is off, but changes of .* are captured/,
  ),
  edited(
    "switched",
    "the position set to mirroring",
    "UPDATE rc.mirror SET position = 'mirroring'",
    /is mirroring, but changes of .*sealed.* are captured.* rc\.whereabouts says r2.*platform_r2 may write/,
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
