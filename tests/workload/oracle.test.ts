import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { digestOf } from "../../local/seed/row-digest.ts";
import { OracleFixture } from "./oracle-fixture.ts";
import { checkLog, type LogCheck, plaintextLeft, readSealed, tenantDigests } from "./oracle.ts";
import { replay } from "./traffic-history.ts";
import { readTrafficLog, sha256, type TrafficEntry } from "./traffic-log.ts";
import { Traffic, summary } from "./traffic.ts";

type List = "missing" | "wrong" | "surplus" | "notOpened";

describe("the oracle", function () {
  this.timeout(110_000);
  const suffix = randomBytes(3).toString("hex");
  const clear = `ora-clear-${suffix}`;
  const sealed = `ora-sealed-${suffix}`;
  let fixture: OracleFixture;
  let folder: string;
  let logFile: string;

  const check = async (file = logFile): Promise<LogCheck> => await checkLog({ ...fixture.access, logFile: file });
  const found = (result: LogCheck): Record<List, string[]> => ({
    missing: result.missing.map(({ id }) => id).sort(),
    wrong: result.wrong.map(({ id }) => id).sort(),
    surplus: result.surplus.map(({ id }) => id).sort(),
    notOpened: result.notOpened.map(({ id }) => id).sort(),
  });
  const nothing: Record<List, string[]> = { missing: [], wrong: [], surplus: [], notOpened: [] };
  /** Records of a tenant whose presence (or absence) is certain. */
  const certain = (tenant: string, isPresent: boolean, kind = "prompt"): string[] =>
    replay(readTrafficLog(logFile))
      .records.filter((record) => record.tenant === tenant && record.kind === kind && !record.isUncertain)
      .filter(({ possible }) => (possible[0] !== undefined) === isPresent)
      .map(({ id }) => id as string);
  /** Does harm to the database, looks, and undoes it. */
  const afterHarm = async (tenant: string, harm: string, mend: string): Promise<Record<List, string[]>> => {
    await fixture.sql(tenant, ...harm.split(";;"));
    try {
      return found(await check());
    } finally {
      await fixture.sql(tenant, ...mend.split(";;"));
    }
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rc-oracle-"));
    logFile = join(folder, "traffic.ndjson");
    fixture = await OracleFixture.open(`ora_${suffix}`);
    await fixture.onboard(clear, "r1");
    await fixture.onboard(sealed, "r2");
    const traffic = new Traffic({
      gateway: fixture.gateway,
      tenants: () => [clear, sealed],
      logFile,
      seed: 7,
      ratePerS: 150,
    });
    traffic.start();
    while (traffic.operations < 600) await sleep(50);
    await traffic.stop();
  });
  after(async () => {
    await fixture.close();
    await rm(folder, { recursive: true });
  });

  it("finds nothing after a clean run, and has looked at every record and every sealed row", async () => {
    const counted = summary(logFile);
    assert.deepEqual([counted.failed, counted.unknown, counted.fenced], [0, 0, 0], counted.failures.join("\n"));
    const result = await check();
    assert.deepEqual(found(result), nothing);
    const creates = readTrafficLog(logFile).entries.filter(({ op }) => op.endsWith("-create"));
    assert.equal(result.checked, creates.length);
    const [rows] = await fixture.sql<{ n: string }>(
      sealed,
      "SELECT (SELECT count(*) FROM prompt_bodies_sealed) + (SELECT count(*) FROM message_bodies_sealed) AS n",
    );
    assert.ok(Number(rows?.n) > 0);
    assert.equal(result.opened, Number(rows?.n));
    for (const tenant of [clear, sealed]) {
      for (const isPresent of [true, false]) assert.ok(certain(tenant, isPresent).length > 0, "the run is too short");
    }
  });

  it("catches an acknowledged write that is lost, in the row, in the body, or in both", async () => {
    for (const [tenant, side] of [
      [clear, ""],
      [sealed, "_sealed"],
    ] as const) {
      const [id = ""] = certain(tenant, true);
      const away = `CREATE TABLE public.away_p AS SELECT * FROM prompts WHERE id = '${id}';;CREATE TABLE public.away_b AS SELECT * FROM prompt_bodies${side} WHERE prompt_id = '${id}'`;
      const back = `INSERT INTO prompts SELECT * FROM away_p ON CONFLICT DO NOTHING;;INSERT INTO prompt_bodies${side} SELECT * FROM away_b;;DROP TABLE away_p, away_b`;
      const whole = await afterHarm(tenant, `${away};;DELETE FROM prompts WHERE id = '${id}'`, back);
      assert.deepEqual(whole, { ...nothing, missing: [id] });
      const body = await afterHarm(tenant, `${away};;DELETE FROM prompt_bodies${side} WHERE prompt_id = '${id}'`, back);
      assert.deepEqual(body, { ...nothing, missing: [id] });
    }
    const [message = ""] = certain(clear, true, "message");
    const lost = await afterHarm(
      clear,
      `CREATE TABLE away AS SELECT * FROM message_bodies WHERE message_id = '${message}';;DELETE FROM message_bodies WHERE message_id = '${message}'`,
      "INSERT INTO message_bodies SELECT * FROM away;;DROP TABLE away",
    );
    assert.deepEqual(lost, { ...nothing, missing: [message] });
  });

  it("catches a wrong body, even an older one of the same record", async () => {
    const [id = ""] = certain(clear, true);
    const wrong = await afterHarm(
      clear,
      `CREATE TABLE away AS SELECT * FROM prompt_bodies WHERE prompt_id = '${id}';;UPDATE prompt_bodies SET body = body || ' ' WHERE prompt_id = '${id}'`,
      `UPDATE prompt_bodies b SET body = away.body FROM away WHERE b.prompt_id = away.prompt_id;;DROP TABLE away`,
    );
    assert.deepEqual(wrong, { ...nothing, wrong: [id] });

    const prompt = { title: "t", body: "the first" };
    const url = `${fixture.gateway}/tenants/${sealed}/prompts`;
    const send = async (address: string, method: string, body: object): Promise<{ id: string }> => {
      const headers = { "content-type": "application/json", "idempotency-key": "traffic-1x00-1" };
      return (await (await fetch(address, { method, headers, body: JSON.stringify(body) })).json()) as { id: string };
    };
    const { id: sealedId } = await send(url, "POST", prompt);
    await fixture.sql(
      sealed,
      `CREATE TABLE away AS SELECT * FROM prompt_bodies_sealed WHERE prompt_id = '${sealedId}'`,
    );
    await send(`${url}/${sealedId}`, "PUT", { ...prompt, body: "the second" });
    const file = join(folder, "older.ndjson");
    const line = {
      worker: 0,
      tenant: sealed,
      result: "ok",
      status: 200,
      fencedRetries: 0,
      unknownRetries: 0,
      fencedMs: 0,
    };
    await writeLines(file, [
      { run: "1x00", opened: {} },
      {
        ...line,
        run: "1x00",
        seq: 1,
        op: "prompt-create",
        id: sealedId,
        idempotencyKey: "traffic-1x00-1",
        sha256: sha256("the first"),
      },
      { ...line, run: "1x00", seq: 2, op: "prompt-update", id: sealedId, sha256: sha256("the second") },
    ]);
    assert.deepEqual(found(await check(file)), nothing);
    await fixture.sql(
      sealed,
      "UPDATE prompt_bodies_sealed b SET body = away.body FROM away WHERE b.prompt_id = away.prompt_id",
      "DROP TABLE away",
    );
    // It opens, so Tink cannot tell; the log can.
    assert.deepEqual(found(await check(file)), { ...nothing, wrong: [sealedId] });
    await fixture.sql(sealed, `DELETE FROM prompts WHERE id = '${sealedId}'`);
  });

  it("catches a row that is there twice, and one that came to another tenant", async () => {
    const [id = ""] = certain(clear, true);
    const copy = randomUUID();
    const twice = await afterHarm(
      clear,
      `INSERT INTO prompts (id, title, idempotency_key, created_at, updated_at) SELECT '${copy}', title, NULL, created_at, updated_at FROM prompts WHERE id = '${id}';;INSERT INTO prompt_bodies SELECT '${copy}', body FROM prompt_bodies WHERE prompt_id = '${id}'`,
      `DELETE FROM prompts WHERE id = '${copy}'`,
    );
    assert.deepEqual(twice, { ...nothing, surplus: [copy] });

    const body = `leaked (${(await fixture.sql<{ marker: string }>(clear, `SELECT substring(body FROM 'rc-traffic-[0-9a-z-]+') AS marker FROM prompt_bodies WHERE prompt_id = '${id}'`))[0]?.marker})`;
    const answer = await fetch(`${fixture.gateway}/tenants/${sealed}/prompts`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ title: "t", body }),
    });
    const leaked = ((await answer.json()) as { id: string }).id;
    assert.deepEqual(found(await check()), { ...nothing, surplus: [leaked] });
    await fixture.sql(sealed, `DELETE FROM prompts WHERE id = '${leaked}'`);
  });

  it("catches a delete that came back", async () => {
    for (const [tenant, table, body] of [
      [clear, "prompt_bodies", "'x'"],
      [sealed, "prompt_bodies_sealed", "(SELECT body FROM prompt_bodies_sealed LIMIT 1)"],
    ] as const) {
      const [id = ""] = certain(tenant, false);
      const risen = await afterHarm(
        tenant,
        `INSERT INTO prompts (id, title, created_at, updated_at) VALUES ('${id}', 't', now(), now());;INSERT INTO ${table} SELECT '${id}', ${body}`,
        `DELETE FROM prompts WHERE id = '${id}'`,
      );
      assert.deepEqual(risen.surplus, [id]);
    }
  });

  it("catches two ciphertexts that changed places, one from another keyset, and one that is none", async () => {
    const [one = "", two = "", three = ""] = certain(sealed, true).sort();
    const swap = `UPDATE prompt_bodies_sealed a SET body = b.body FROM prompt_bodies_sealed b WHERE (a.prompt_id, b.prompt_id) IN (('${one}', '${two}'), ('${two}', '${one}'))`;
    assert.deepEqual(await afterHarm(sealed, swap, swap), { ...nothing, notOpened: [one, two] });
    const damage = async (expression: string): Promise<string[]> => {
      await fixture.sql(
        sealed,
        `CREATE TABLE away AS SELECT * FROM prompt_bodies_sealed WHERE prompt_id = '${three}'`,
        `UPDATE prompt_bodies_sealed SET body = ${expression} WHERE prompt_id = '${three}'`,
      );
      const { notOpened } = await readSealed({ ...fixture.access, tenant: sealed });
      await fixture.sql(
        sealed,
        "UPDATE prompt_bodies_sealed b SET body = away.body FROM away WHERE b.prompt_id = away.prompt_id",
        "DROP TABLE away",
      );
      return notOpened.map(({ id, why }) => `${id} ${why}`);
    };
    assert.deepEqual(await damage("set_byte(body, 1, get_byte(body, 1) # 255)"), [`${three} unknown-key`]);
    assert.deepEqual(await damage("set_byte(body, 40, get_byte(body, 40) # 1)"), [`${three} not-authentic`]);
    assert.deepEqual(await damage("'in clear'"), [`${three} not-tink`]);
  });

  it("catches a read that returned an older body", async () => {
    const { entries } = readTrafficLog(logFile);
    const update = entries.find(({ op }) => op === "prompt-update") as TrafficEntry;
    const create = entries.find(({ op, id }) => op === "prompt-create" && id === update.id) as TrafficEntry;
    const at = entries.indexOf(update) + 1;
    const read = { ...update, op: "prompt-read" as const, sha256: create.sha256 as string };
    const history = replay({
      runs: [],
      entries: [...entries.slice(0, at), read, ...entries.slice(at)],
      unfinished: [],
    });
    assert.deepEqual(
      history.wrongReads.map(({ entry }) => entry.id),
      [update.id],
    );
  });

  it("digests a tenant as the seed does, and sees one changed byte, on either side", async () => {
    const before = await tenantDigests({ ...fixture.access, tenants: [clear, sealed] });
    const rows = await fixture.sql<{ kind: "prompt" | "message"; id: string; body: string }>(
      clear,
      "SELECT 'prompt' AS kind, prompt_id AS id, body FROM prompt_bodies UNION ALL SELECT 'message', message_id, body FROM message_bodies",
    );
    assert.equal(before[clear], digestOf(rows.map(({ kind, id, body }) => ({ kind, id, sha256: sha256(body) }))));
    const [id = ""] = certain(clear, true);
    await fixture.sql(clear, `UPDATE prompt_bodies SET body = body || ' ' WHERE prompt_id = '${id}'`);
    const after = await tenantDigests({ ...fixture.access, tenants: [clear, sealed] });
    await fixture.sql(clear, `UPDATE prompt_bodies SET body = left(body, -1) WHERE prompt_id = '${id}'`);
    assert.notEqual(after[clear], before[clear]);
    assert.equal(after[sealed], before[sealed]);
    assert.deepEqual(await tenantDigests({ ...fixture.access, tenants: [clear, sealed] }), before);
    const args = { ...fixture.access, tenants: [clear, sealed], isTrafficIncluded: false };
    const empty = digestOf([]);
    assert.deepEqual(await tenantDigests(args), { [clear]: empty, [sealed]: empty });
  });

  it("finds plaintext in clear rows and in a sealed row that hides its own text, and none otherwise", async () => {
    const inClear = await plaintextLeft({ ...fixture.access, tenants: [clear] });
    assert.ok(inClear.rows > 0 && inClear.withPlaintext === inClear.rows);
    const inSealed = await plaintextLeft({ ...fixture.access, tenants: [sealed] });
    assert.ok(inSealed.rows > 0 && inSealed.withPlaintext === 0);
    // Not the first one: an earlier test has taken its chunks.
    const id = certain(sealed, true).at(-1);
    await fixture.sql(
      sealed,
      `CREATE TABLE away AS SELECT * FROM prompt_bodies_sealed WHERE prompt_id = '${id}'`,
      `UPDATE prompt_bodies_sealed SET body = body || (SELECT convert_to(left(text, 30), 'UTF8') FROM chunks WHERE prompt_id = '${id}' AND ordinal = 0) WHERE prompt_id = '${id}'`,
    );
    const hidden = await plaintextLeft({ ...fixture.access, tenants: [sealed], samples: ["never written"] });
    await fixture.sql(
      sealed,
      "UPDATE prompt_bodies_sealed b SET body = away.body FROM away WHERE b.prompt_id = away.prompt_id",
      "DROP TABLE away",
    );
    assert.equal(hidden.withPlaintext, 1);
    await assert.rejects(plaintextLeft({ ...fixture.access, tenants: [sealed], samples: ["short"] }), RangeError);
  });

  it("refuses to judge a tenant whose ledger contradicts itself, and hides the token when Vault refuses it", async () => {
    await fixture.sql(sealed, "UPDATE rc.whereabouts SET release = 'r1'");
    await assert.rejects(check(), /rc.whereabouts says r1, but prompt-encryption is retired/);
    await fixture.sql(sealed, "UPDATE rc.whereabouts SET release = 'r2'");
    const vaultToken = `hvs.${randomUUID()}`;
    await assert.rejects(readSealed({ ...fixture.access, vaultToken, tenant: sealed }), (error: Error) => {
      assert.match(error.message, /the reader of sealed bodies failed \(2\)/);
      return !error.message.includes(vaultToken);
    });
  });
});

async function writeLines(file: string, lines: readonly object[]): Promise<void> {
  await writeFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
}
