import assert from "node:assert/strict";
import fc from "fast-check";
import { linkOf, parseEntry, sealed } from "../../../coordinator/evidence/evidence-entry.ts";
import type { EvidenceEntry } from "../../../coordinator/evidence/evidence-entry.ts";
import { chainOf, factsOf, MemoryFiles } from "./evidence-fixture.ts";

describe("a chain of evidence", () => {
  it("is whole as it was written, and empty before", async () => {
    assert.deepEqual((await new MemoryFiles().log().read()).faults, []);
    const files = await chainOf(4);
    const { entries, faults, head } = await files.log().read();
    assert.deepEqual(faults, []);
    assert.deepEqual(
      entries.map(({ sequence, notes }) => [sequence, notes[0]]),
      [1, 2, 3, 4].map((nth) => [nth, `act ${nth}`]),
    );
    assert.deepEqual(head, await files.log().head());
    assert.equal(entries[1]?.previous, linkOf(files.texts.get(files.keys[0] ?? "") ?? ""));
  });

  it("shows every change of one entry, one removed, two exchanged, one inserted and one moved here", async () => {
    const change = async (act: (files: MemoryFiles, keys: string[]) => void, anchor?: object) => {
      const files = await chainOf(5);
      act(files, files.keys);
      return (await files.log().read(anchor ? [anchor as never] : [])).faults.join("\n");
    };
    const text = (files: MemoryFiles, key = "") => files.texts.get(key) ?? "";
    assert.match(
      await change((files, [, , key = ""]) => files.texts.set(key, text(files, key).replace('"ana"', '"eve"'))),
      /entry 3: it was edited/,
    );
    assert.match(
      await change((files, [, , , , key = ""]) => files.texts.set(key, text(files, key).replace('"ana"', '"eve"'))),
      /entry 5: it was edited/,
      "the last one too, although nothing follows it",
    );
    assert.match(
      await change((files, [, , key = ""]) => {
        const { hash: _hash, ...entry } = parseEntry(text(files, key));
        files.texts.set(key, sealed({ ...entry, who: "eve" }));
      }),
      /entry 4 does not continue entry 3/,
      "also with its own hash made anew",
    );
    assert.match(await change((files, [, key = ""]) => files.texts.delete(key)), /entry 2 is missing/);
    assert.match(
      await change((files, [, second = "", third = ""]) => {
        const [a, b] = [text(files, second), text(files, third)];
        files.texts.set(second, b).set(third, a);
      }),
      /entry 2 says that it is entry 3: it was moved/,
    );
    assert.match(
      await change((files, [, key = ""]) => files.texts.set(key, text(files, key).slice(0, 100))),
      /entry 2: it is no JSON/,
    );
    const other = new MemoryFiles();
    await other.log("prod").append(factsOf());
    assert.match(
      await change((files, keys) => files.texts.set(keys[0] ?? "", [...other.texts.values()][0] ?? "")),
      /entry 1 is of release-coordinator\/prod, not of release-coordinator\/dev/,
    );
  });

  it("is caught by what others remember when it was cut short or written anew as a whole", async () => {
    const files = await chainOf(5);
    const { sequence, link } = await files.log().head();
    const anchor = { sequence, link, by: "record 7 of the registry" };
    assert.deepEqual((await files.log().read([anchor])).faults, []);
    files.texts.delete(files.keys[4] ?? "");
    assert.deepEqual((await files.log().read()).faults, [], "by itself nobody can tell");
    assert.match(
      (await files.log().read([anchor])).faults[0] ?? "",
      /registry knows entry 5, .* ends at 4: it was cut/,
    );
    await files.log().append(factsOf({ who: "eve" }));
    assert.match((await files.log().read([anchor])).faults[0] ?? "", /entry 5 is not the one that record 7/);
  });

  it("shows a clock that was set back, and forgives five minutes between machines", async () => {
    const files = await chainOf(2);
    const last = Date.parse("2026-01-18T10:00:00Z");
    await files.log().append(factsOf(), undefined, new Date(last - 4 * 60_000));
    assert.deepEqual((await files.log().read()).faults, []);
    await files.log().append(factsOf(), undefined, new Date(last - 86_400_000));
    assert.match((await files.log().read()).faults[0] ?? "", /entry 4 is dated 2026-01-17.*a clock was set back/);
  });

  it("lets exactly one of several go on who all saw the same end, and nobody is lost who takes turns", async () => {
    const files = await chainOf(1);
    const log = files.log();
    const seen = await log.head();
    const tries = await Promise.allSettled(["ana", "ben", "cleo"].map((who) => log.append(factsOf({ who }), seen)));
    assert.equal(tries.filter(({ status }) => status === "fulfilled").length, 1);
    const refused = tries.find(({ status }) => status === "rejected") as PromiseRejectedResult;
    assert.match(String(refused.reason), /somebody else was first in dev: (ana|ben|cleo) has ended a promotion/);
    await Promise.all(["dora", "emil", "finn"].map((who) => log.append(factsOf({ who }))));
    const { entries, faults } = await log.read();
    assert.deepEqual(faults, []);
    assert.deepEqual(entries.length, 5);
  });

  it("never hides any edit of any field, at any place", async () => {
    const files = await chainOf(6);
    const whole = new Map(files.texts);
    const field = fc.constantFrom(
      "who",
      "at",
      "outcome",
      "digest",
      "previous",
      "sequence",
      "act",
      "phase",
      "environment",
    );
    await fc.assert(
      fc.asyncProperty(
        fc.nat(5),
        field,
        fc.string({ minLength: 1 }),
        fc.boolean(),
        async (nth, name, value, isSealed) => {
          const copy = new MemoryFiles();
          for (const [key, text] of whole) copy.texts.set(key, text);
          const key = files.keys[nth] ?? "";
          const { hash, ...entry } = JSON.parse(whole.get(key) ?? "") as EvidenceEntry;
          const edited = { ...entry, [name]: value };
          copy.texts.set(key, isSealed ? sealed(edited) : JSON.stringify({ ...edited, hash }));
          const end = await files.log().head();
          const { faults } = await copy.log().read([{ ...end, by: "the registry" }]);
          assert.notDeepEqual(faults, []);
        },
      ),
      { numRuns: 60 },
    );
  });
});
