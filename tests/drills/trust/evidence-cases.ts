import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FolderFiles } from "../../../coordinator/backend/folder-files.ts";
import { parseEntry, sealed } from "../../../coordinator/evidence/evidence-entry.ts";
import type { EvidenceEntry } from "../../../coordinator/evidence/evidence-entry.ts";
import { EvidenceLog } from "../../../coordinator/evidence/evidence-log.ts";
import { Refusal } from "../../../coordinator/outcome.ts";
import { chainOf, factsOf, MemoryFiles } from "../../coordinator/evidence/evidence-fixture.ts";
import type { SeededRandom } from "../../workload/seeded-random.ts";
import type { DrillCase } from "../drill.ts";

const length = 8;

interface Tampering {
  readonly files: MemoryFiles;
  readonly keys: readonly string[];
  readonly random: SeededRandom;
  readonly text: (nth: number) => string;
  /** Puts a text in place of an entry, from 0. */
  readonly put: (nth: number, text: string) => void;
}

/** A chain that was touched: the reader must find it, with or without what the registry remembers of its end. */
function found(title: string, fault: RegExp, tamper: (on: Tampering) => Promise<void> | void): DrillCase {
  return {
    title,
    async run(_stage, random) {
      const files = await chainOf(length);
      const end = { ...(await files.log().head()), by: "the registry" };
      assert.deepEqual((await files.log().read([end])).faults, [], "it was whole");
      const keys = files.keys;
      const text = (nth: number) => files.texts.get(keys[nth] ?? "") ?? "";
      const put = (nth: number, value: string) => void files.texts.set(keys[nth] ?? "", value);
      await tamper({ files, keys, random, text, put });
      assert.match((await files.log().read([end])).faults.join("\n"), fault);
    },
  };
}

function edited(text: string, change: Partial<EvidenceEntry>, isSealed: boolean): string {
  const { hash, ...entry } = parseEntry(text);
  return isSealed ? sealed({ ...entry, ...change }) : JSON.stringify({ ...entry, ...change, hash });
}

export const evidenceCases: readonly DrillCase[] = [
  ...(["who", "outcome", "digest", "at"] as const).map((field) =>
    found(`evidence whose ${field} was edited`, /it was edited/, ({ random, text, put }) => {
      const nth = random.below(length);
      put(nth, edited(text(nth), { [field]: field === "at" ? "2026-01-18T09:00:01.000Z" : "no-go" }, false));
    }),
  ),
  found("evidence that lost an approval, with a hash made anew", /does not continue entry/, ({ random, text, put }) => {
    const nth = random.below(length - 1);
    put(nth, edited(text(nth), { approvals: [], who: "eve" }, true));
  }),
  found("the last entry, edited with a hash made anew", /is not the one that the registry knows/, ({ text, put }) =>
    put(length - 1, edited(text(length - 1), { who: "eve" }, true)),
  ),
  found(
    "evidence whose first entry is gone",
    /entry 1 is missing/,
    ({ files, keys }) => void files.texts.delete(keys[0] ?? ""),
  ),
  found("evidence with entries gone from the middle", /entries 3 to 4 are missing/, ({ files, keys }) => {
    for (const nth of [2, 3]) files.texts.delete(keys[nth] ?? "");
  }),
  found("evidence cut short", /it was cut short/, ({ files, keys, random }) => {
    for (const key of keys.slice(length - 1 - random.below(3))) files.texts.delete(key);
  }),
  found("evidence thrown away as a whole", /the chain ends at 0: it was cut short/, ({ files }) => files.texts.clear()),
  found("evidence written anew as a whole, sound in itself", /it was written anew/, async ({ files }) => {
    files.texts.clear();
    for (const [key, text] of (await chainOf(length - 1)).texts) files.texts.set(key, text);
    await files.log().append(factsOf({ who: "eve" }), undefined, new Date("2026-01-19T09:00:00Z"));
  }),
  found("two entries exchanged", /it was moved/, ({ random, text, put }) => {
    const nth = random.below(length - 1);
    const [a, b] = [text(nth), text(nth + 1)];
    put(nth, b);
    put(nth + 1, a);
  }),
  found("an entry copied over the next one", /it was moved/, ({ random, text, put }) => {
    const nth = random.below(length - 1);
    put(nth + 1, text(nth));
  }),
  found(
    "an entry of another environment put in its place",
    /is of release-coordinator\/prod/,
    async ({ put, random }) => {
      const other = new MemoryFiles();
      await other.log("prod").append(factsOf());
      put(random.below(length), [...other.texts.values()][0] ?? "");
    },
  ),
  found("an entry of another project put in its place", /is of shop\/dev/, async ({ put, random }) => {
    const other = new MemoryFiles();
    await other.log("dev", "shop").append(factsOf());
    put(random.below(length), [...other.texts.values()][0] ?? "");
  }),
  found("an entry cut in half", /it is no JSON/, ({ random, text, put }) => {
    const nth = random.below(length);
    put(nth, text(nth).slice(0, 1 + random.below(200)));
  }),
  found("an empty entry", /it is no JSON/, ({ random, put }) => put(random.below(length), "")),
  found("an entry of an unknown format", /its format is 2/, ({ random, text, put }) => {
    const nth = random.below(length);
    put(nth, edited(text(nth), { format: 2 } as never, true));
  }),
  found("an entry with a field more", /it was edited/, ({ random, text, put }) => {
    const nth = random.below(length);
    put(nth, JSON.stringify({ ...JSON.parse(text(nth)), approvedBy: "everybody" }));
  }),
  found("an entry written with the clock set back", /a clock was set back/, async ({ files, random }) => {
    const hours = 1 + random.below(1000);
    await files.log().append(factsOf(), undefined, new Date(Date.parse("2026-01-18T16:00:00Z") - hours * 3_600_000));
  }),
  {
    title: "two release managers at once, on a folder: one goes, the other reads who was first",
    async run(_stage, random) {
      const folder = await mkdtemp(join(tmpdir(), "trust-drill-"));
      try {
        const log = new EvidenceLog(new FolderFiles(`file://${folder}`), {
          project: "release-coordinator",
          environment: "prod",
        });
        for (let nth = random.below(3); nth >= 0; nth--) await log.append(factsOf());
        const seen = await log.head();
        const people = ["ana", "ben", "cleo", "dora"];
        const tries = await Promise.allSettled(people.map((who) => log.append(factsOf({ who, phase: "begun" }), seen)));
        assert.equal(tries.filter(({ status }) => status === "fulfilled").length, 1);
        for (const one of tries) {
          if (one.status === "fulfilled") continue;
          assert.ok(one.reason instanceof Refusal && one.reason.outcome === "needs-human");
          assert.match(
            one.reason.message,
            /somebody else was first in prod: (ana|ben|cleo|dora) has begun a promotion/,
          );
        }
        assert.deepEqual((await log.read()).faults, []);
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  },
  {
    title: "evidence on a full disk: half an entry is never there",
    async run() {
      const folder = await mkdtemp(join(tmpdir(), "trust-drill-"));
      try {
        const files = new FolderFiles(`file://${folder}`);
        const log = new EvidenceLog(files, { project: "release-coordinator", environment: "prod" });
        await log.append(factsOf());
        const place = join(folder, ".release-coordinator/evidence/release-coordinator/prod");
        assert.deepEqual(await readdir(place), ["00000001.json"], "and nothing temporary stays");
        await truncate(join(place, "00000001.json"), 80);
        assert.match((await log.read()).faults.join(), /it is no JSON/);
        await log.append(factsOf({ act: "rollback" }));
        const { entries, faults } = await log.read();
        assert.deepEqual(
          [entries.map(({ act }) => act), faults.length],
          [["rollback"], 1],
          "a rollback is kept all the same",
        );
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  },
];
