import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { OracleFixture } from "./oracle-fixture.ts";
import { checkLog } from "./oracle.ts";
import { SeededRandom } from "./seeded-random.ts";
import { replay } from "./traffic-history.ts";
import { readTrafficLog, TrafficLog, type TrafficIntent } from "./traffic-log.ts";
import { bodyText, sentencesOf } from "./traffic-text.ts";
import { summary, Traffic } from "./traffic.ts";

describe("the traffic generator", function () {
  this.timeout(110_000);
  const suffix = randomBytes(3).toString("hex");
  const [one, two] = [`ora-one-${suffix}`, `ora-two-${suffix}`];
  let fixture: OracleFixture;
  let folder: string;
  let logFile: string;

  const assertClean = async (): Promise<void> => {
    const { missing, wrong, surplus } = await checkLog({ ...fixture.access, logFile });
    assert.deepEqual([missing, wrong, surplus], [[], [], []]);
  };
  const run = async (until: () => boolean): Promise<void> => {
    const traffic = new Traffic({ gateway: fixture.gateway, tenants: () => [one], logFile, seed: 3, ratePerS: 150 });
    traffic.start();
    while (!until()) await sleep(20);
    await traffic.stop();
  };
  const entries = () => readTrafficLog(logFile).entries;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rc-traffic-"));
    fixture = await OracleFixture.open(`ora_traffic_${suffix}`);
    await fixture.onboard(one, "r1");
    await fixture.onboard(two, "r1");
  });
  beforeEach(() => {
    logFile = join(folder, `${randomBytes(4).toString("hex")}.ndjson`);
    fixture.interfere = () => "pass";
  });
  after(async () => {
    await fixture.close();
    await rm(folder, { recursive: true });
  });

  it("marks a broken connection unknown, repeats only a POST, and leaves uncertain records alone", async () => {
    let requests = 0;
    fixture.interfere = () => (++requests % 5 === 0 ? (requests % 2 === 0 ? "break-before" : "break-after") : "pass");
    await run(() => entries().length > 300);
    const unknown = entries().filter(({ result }) => result === "unknown");
    assert.ok(unknown.length > 0);
    assert.ok(unknown.every(({ op, status }) => !op.endsWith("-create") && status === null));
    assert.ok(
      entries().some(
        ({ op, result, unknownRetries }) => op === "prompt-create" && result === "ok" && unknownRetries > 0,
      ),
    );
    assert.ok(entries().every(({ op, unknownRetries }) => op.endsWith("-create") || unknownRetries === 0));
    for (const lost of unknown.filter(({ op }) => op === "prompt-update" || op === "prompt-delete")) {
      const later = entries().filter(({ id, run, seq }) => id === lost.id && run === lost.run && seq > lost.seq);
      assert.deepEqual(later, []);
    }
    assert.deepEqual([summary(logFile).failed, summary(logFile).unknown], [0, unknown.length]);
    await assertClean();
  });

  it("retries what the fence refuses, counts it, and calls it no failure", async () => {
    let fencing: Promise<void> | undefined;
    await run(() => {
      const count = entries().length;
      if (count > 60) {
        fencing ??= fixture.fence(one).then(async () => {
          await sleep(1_500);
          await fixture.unfence(one);
        });
      }
      return entries().filter(({ fencedRetries, result }) => fencedRetries > 0 && result === "ok").length > 2;
    });
    await fencing;
    const counted = summary(logFile);
    assert.deepEqual([counted.failed, counted.unknown], [0, 0], counted.failures.join("\n"));
    assert.ok(counted.fenced > 2);
    assert.ok((counted.longestFenceMs[one] ?? 0) >= 1_000, "Retry-After is a second");
    await assertClean();
  });

  it("counts as failed what outlasts its patience, and the oracle knows that none of it was done", async () => {
    await run(() => entries().length > 40);
    await fixture.fence(one);
    const traffic = new Traffic({
      gateway: fixture.gateway,
      tenants: () => [one],
      logFile,
      seed: 4,
      ratePerS: 100,
      patienceMs: 1,
    });
    traffic.start();
    while (summary(logFile).failed < 10) await sleep(50);
    const counted = await traffic.stop();
    await fixture.unfence(one);
    assert.ok(
      entries()
        .filter(({ result }) => result === "failed")
        .every(({ refusal }) => refusal === "fenced"),
    );
    assert.ok(counted.failures.every((failure) => failure.includes("503 fenced")));
    await assertClean();
    const refused = replay(readTrafficLog(logFile)).records.filter(
      ({ id, possible }) => id === undefined && possible[0] === undefined,
    );
    assert.ok(refused.every(({ isUncertain }) => !isUncertain));
  });

  it("runs as a process: ends on SIGTERM with a summary, goes on after kill -9, takes in tenants, touches nothing uncertain", async () => {
    const tenantsFile = join(folder, "tenants");
    await writeFile(tenantsFile, `${one}\n`);
    const start = () =>
      spawn(
        process.execPath,
        [
          join(import.meta.dirname, "traffic-process.ts"),
          ...[
            "--gateway",
            fixture.gateway,
            "--tenants-file",
            tenantsFile,
            "--log",
            logFile,
            "--seed",
            "5",
            "--rate",
            "100",
          ],
        ],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
    const grown = async (more: number): Promise<void> => {
      const goal = entries().length + more;
      while (entries().length < goal) await sleep(50);
    };
    const killed = start();
    await grown(60);
    killed.kill("SIGKILL");
    await once(killed, "exit");
    // Whatever the kill left, this is left as well: a write begun and a line cut short.
    const content = readTrafficLog(logFile);
    const live = replay(content).records.find(
      ({ kind, possible, isUncertain }) => kind === "prompt" && possible[0] && !isUncertain,
    );
    const begun: TrafficIntent = {
      ...{ run: content.runs[0] as string, seq: 1_000_000, worker: 0, tenant: one },
      ...{ op: "prompt-delete", id: live?.id as string, at: new Date().toISOString() },
    };
    appendFileSync(logFile, `${JSON.stringify({ ...begun, result: "begun" })}\n{"run":"cut`);

    const second = start();
    await grown(60);
    await writeFile(tenantsFile, `${one}\n${two}\n`);
    while (!entries().some(({ tenant, result }) => tenant === two && result === "ok")) await sleep(50);
    let said = "";
    second.stdout.on("data", (text: Buffer) => (said += text.toString()));
    second.kill("SIGTERM");
    const [code] = (await once(second, "close")) as [number | null];
    assert.equal(code, 0);
    const last = JSON.parse(readFileSync(logFile, "utf8").trim().split("\n").at(-1) as string);
    assert.deepEqual(last.summary, summary(logFile));
    assert.equal(JSON.parse(said.trim().split("\n").at(-1) as string).ok, last.summary.ok);
    assert.equal(last.summary.runs, 2);
    assert.equal(last.summary.failed, 0, last.summary.failures.join("\n"));
    const after = readTrafficLog(logFile);
    const inherited = after.entries.filter(
      ({ run, id }) => run === after.runs[1] && content.entries.some((early) => early.id === id),
    );
    assert.ok(inherited.length > 0, "records that are certain go on being used");
    assert.ok(inherited.every(({ id }) => id !== live?.id));
    await assertClean();
  });

  it("draws the same operations and texts from the same seed, and other texts from another", () => {
    const text = (seed: number, marker: string) => bodyText(new SeededRandom(seed), [], marker);
    assert.equal(text(1, "m"), text(1, "m"));
    assert.notEqual(text(1, "m"), text(2, "m"));
    const corpus = sentencesOf(
      "Too short. This sentence is long enough to be kept.\n\nSo is this one, I should think! No.",
    );
    assert.deepEqual(corpus, ["This sentence is long enough to be kept.", "So is this one, I should think!"]);
    assert.ok(corpus.some((sentence) => bodyText(new SeededRandom(1), corpus, "m").includes(sentence)));
  });

  it("refuses a log with a damaged line in its middle, and forgives a torn end", () => {
    const log = new TrafficLog(logFile);
    log.open("1x00", {});
    appendFileSync(logFile, '{"run":"1x00","se');
    assert.deepEqual(readTrafficLog(logFile).runs, ["1x00"]);
    new TrafficLog(logFile).open("2x00", {});
    assert.deepEqual(readTrafficLog(logFile).runs, ["1x00", "2x00"]);
    appendFileSync(logFile, "damage\n");
    log.begin({ run: "1x00", seq: 1, worker: 0, tenant: one, op: "prompt-create", id: null, at: "" });
    assert.throws(() => readTrafficLog(logFile), /:4 is no JSON/);
  });
});
