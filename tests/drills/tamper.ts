import { checkRows } from "../../migrations/row-check.ts";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import type { Drill, DrillCase } from "./drill.ts";
import { type DrillTenant, environment } from "./drill-tenant.ts";
import { assertClosed } from "./expect-closed.ts";
import { judge } from "./judge.ts";
import { findFaults } from "./oracle.ts";
import { sealedBodies } from "./stored-bodies.ts";
import { ledgerTamperings } from "./tamper-ledger.ts";
import { type Tampering, tamperings, type Victims } from "./tamper-ciphertext.ts";
import { Traffic } from "./traffic.ts";

/** Rows, keysets and ledger changed behind the engine's back. */
export const tamper: Drill = {
  name: "tamper",
  about: "ciphertexts, copies, keysets and ledger rows changed by an outsider: each fails closed and prints no text",
  cases: () => {
    const sealed = tamperings.map((tampering, nth) => sealedCase(tampering, nth % 2 === 0 ? "drained" : "rebuilt"));
    const rest = [
      damagedCopy("flipped"),
      ...ledgerTamperings,
      ...["older", "lost", "surplus", "rebuilt"].map(damagedCopy),
      older("switched", false),
      older("mirroring", false),
      older("switched", true),
    ];
    // The two families by turns, so that a part has of both.
    return sealed.flatMap((one, nth) => [one, ...rest.slice(nth, nth + 1)]).concat(rest.slice(sealed.length));
  },
};

/** A sealed row that does not open is never taken for anything else: the way back stops and names it. */
function sealedCase(tampering: Tampering, way: "drained" | "rebuilt"): DrillCase {
  return {
    title: `a ciphertext ${tampering.title}, ${way} on the way back`,
    async run(stage, random) {
      const tenant = await stage.tenant(way === "drained" ? "switched" : "retired");
      await tenant.undoContract();
      const traffic = new Traffic(tenant, stage.base, random);
      const victims = await findVictims(tenant);
      await put(tenant, victims.id, await tampering.forge(victims, tenant));
      const result = await tenant.start("prepare", r1).ended();
      assertClosed(result, tampering.reason);
      if (!/unknown|no enabled/.test(result?.reason ?? "") && !result?.reason?.includes(victims.id)) {
        throw new Error(`the row is not named: ${result?.reason}`);
      }
      const found = await sealedBodies(tenant.place);
      if (!found.closed.has(`prompt ${victims.id}`)) throw new Error("stock Tink opens the forged row");
      await put(tenant, victims.id, victims.sealed);
      await tenant.move("prepare", r1);
      await tenant.move("cutover", r1);
      await judge(tenant, traffic.log, "mirroring");
    },
  };
}

/** Between copy and verification somebody changes the copy: it is found, repaired and noted. */
function damagedCopy(how: string): DrillCase {
  return {
    title: `a copy ${how === "rebuilt" ? "in clear changed" : how === "surplus" ? "with a row too many" : `with a row ${how}`} before it is compared`,
    async run(stage, random) {
      const isBack = how === "rebuilt";
      const tenant = await stage.tenant(isBack ? "retired" : "off");
      if (isBack) await tenant.undoContract();
      const traffic = new Traffic(tenant, stage.base, random);
      const release = isBack ? r1 : r2;
      const run = tenant.start("prepare", release, { at: "verify.before", signal: "SIGSTOP" });
      await run.stopped();
      const { id, other } = isBack
        ? { id: await firstPrompt(tenant), other: Buffer.alloc(0) }
        : await findVictims(tenant);
      const admin = tenant.admin;
      if (how === "lost") await admin.query("DELETE FROM prompt_bodies_sealed WHERE prompt_id = $1", [id]);
      else if (how === "flipped") await put(tenant, id, other);
      else if (how === "older") await put(tenant, id, await tenant.seal("prompt", id, "what it was before"));
      else if (isBack) await admin.query("UPDATE prompt_bodies SET body = 'changed' WHERE prompt_id = $1", [id]);
      else {
        const extra = "00000000-0000-4000-8000-0000000000ee";
        await admin.query("INSERT INTO prompts (id, title) VALUES ($1, 'no body')", [extra]);
        await admin.query("INSERT INTO prompt_bodies_sealed VALUES ($1, $2)", [
          extra,
          await tenant.seal("prompt", extra, "x"),
        ]);
      }
      run.wake();
      const result = await run.ended();
      if (result?.status !== "done") throw new Error(`prepare ended ${result?.status}: ${result?.reason}`);
      const noted = await admin.query("SELECT FROM rc.journal WHERE event = 'repaired'");
      if (noted.rowCount === 0) throw new Error("nobody noted that the copy was repaired");
      await tenant.move("cutover", release);
      await judge(tenant, traffic.log, isBack ? "mirroring" : "switched", { isRepairAllowed: true });
    },
  };
}

/**
 * Reading cannot tell an older ciphertext of the same row from the newest: it opens. `coordinator verify --rows` can, when it
 * was put there past the triggers: by comparing both sides, and where both were changed alike, by the signed root.
 */
function older(position: "mirroring" | "switched", isOnBothSides: boolean): DrillCase {
  return {
    title: `an older ciphertext of the same row opens while ${position}, and verify finds it${isOnBothSides ? " although the other side was changed with it" : ""}`,
    async run(stage, random) {
      const tenant = await stage.tenant(position);
      const traffic = new Traffic(tenant, stage.base, random);
      const { id } = await findVictims(tenant);
      const clean = await checkRows(
        environment,
        { id: tenant.tenant, database: tenant.database },
        tenant.job(r2).region,
      );
      if (clean.faults.length > 0 || clean.rootedRanges !== clean.ranges || clean.compared === 0)
        throw new Error(`before anything was changed verify says: ${JSON.stringify(clean)}`);
      await pastTheTriggers(tenant, async () => {
        await put(tenant, id, await tenant.seal("prompt", id, "what it was before"));
        if (isOnBothSides)
          await tenant.admin.query("UPDATE prompt_bodies SET body = 'what it was before' WHERE prompt_id = $1", [id]);
      });
      const found = await sealedBodies(tenant.place);
      if (found.closed.size > 0)
        throw new Error("an older ciphertext does not open: then reading can tell, correct the documents");
      const faults = findFaults(traffic.log, found);
      if (faults.length !== 1 || !faults[0]?.includes(id)) throw new Error(`the oracle found: ${faults.join("; ")}`);
      const check = await checkRows(
        environment,
        { id: tenant.tenant, database: tenant.database },
        tenant.job(r2).region,
      );
      const [fault] = check.faults;
      if (check.faults.length !== 1 || fault === undefined) throw new Error(`verify found: ${JSON.stringify(check)}`);
      const isNamed = isOnBothSides
        ? fault.table === "prompt_bodies" && /past the triggers/.test(fault.reason)
        : fault.table === "prompt_bodies_sealed" && fault.key === id && /older or a foreign/.test(fault.reason);
      if (!isNamed) throw new Error(`verify says: ${JSON.stringify(fault)}`);
      if (/what it was|base prompt/.test(JSON.stringify(check))) throw new Error("verify quotes a row");
    },
  };
}

/** Writes that no capture sees: what only the owner of the tables can do. */
async function pastTheTriggers(tenant: DrillTenant, work: () => Promise<void>): Promise<void> {
  const captured = await tenant.admin.query<{ name: string }>(
    "SELECT relname AS name FROM pg_trigger JOIN pg_class AS c ON c.oid = tgrelid WHERE tgname = 'zz_rc_capture' AND tgenabled = 'A' AND relname LIKE 'prompt%'",
  );
  const name = captured.rows[0]?.name ?? "";
  await tenant.admin.query(`ALTER TABLE public.${name} DISABLE TRIGGER zz_rc_capture`);
  await work();
  await tenant.admin.query(`ALTER TABLE public.${name} ENABLE ALWAYS TRIGGER zz_rc_capture`);
}

async function firstPrompt(tenant: DrillTenant): Promise<string> {
  const found = await tenant.admin.query<{ id: string }>("SELECT min(prompt_id::text) AS id FROM prompt_bodies_sealed");
  return found.rows[0]?.id ?? "";
}

async function findVictims(tenant: DrillTenant): Promise<Victims> {
  const rows = await tenant.admin.query<{ id: string; sealed: Buffer }>(
    "SELECT prompt_id::text AS id, body AS sealed FROM prompt_bodies_sealed ORDER BY prompt_id LIMIT 2",
  );
  const message = await tenant.admin.query<{ body: Buffer }>("SELECT body FROM message_bodies_sealed LIMIT 1");
  const [first, second] = rows.rows;
  const empty = Buffer.alloc(0);
  return {
    id: first?.id ?? "",
    sealed: first?.sealed ?? empty,
    other: second?.sealed ?? empty,
    message: message.rows[0]?.body ?? empty,
  };
}

async function put(tenant: DrillTenant, id: string, sealed: Buffer): Promise<void> {
  await tenant.admin.query("UPDATE prompt_bodies_sealed SET body = $2 WHERE prompt_id = $1", [id, sealed]);
}
