import assert from "node:assert/strict";
import { getRelease } from "../../releases/catalog.ts";
import { contentHash } from "../../releases/content-hash.ts";
import { FaultReport } from "../../releases/fault.ts";
import { allPublished, appendOnlyFaults, parsePublished, publish, publishedFaults } from "../../releases/published.ts";

const r1 = getRelease("r1");
const r2 = getRelease("r2");
const list = publish(publish([], r1), r2);

describe("published releases", () => {
  it("stand in the repository as they were published", () => {
    assert.deepEqual(publishedFaults(allPublished()), []);
  });

  it("are added at the end, once", () => {
    assert.deepEqual(list, [
      { id: "r1", hash: contentHash(r1) },
      { id: "r2", hash: contentHash(r2) },
    ]);
    assert.equal(publish(list, r1), list);
  });

  it("refuse an edit, naming both hashes and the mend", () => {
    const edited = { ...r1, notes: [...r1.notes, "One more."] };
    const [fault, ...others] = publishedFaults(list, [edited, r2]);
    assert.deepEqual(others, []);
    assert.equal(fault?.path, "0.hash");
    assert.equal(fault?.seen, `"${contentHash(edited)}"`);
    assert.match(fault?.allowed ?? "", new RegExp(`^${contentHash(r1)}, the content published as r1`));
    assert.match(
      fault?.mend ?? "",
      /^give the changed release a new id \(copy releases\/r1\.ts to releases\/r1b\.ts\) and restore/,
    );
    assert.throws(() => publish(list, edited), FaultReport);
  });

  it("refuse that a published release leaves the catalog or is listed twice", () => {
    assert.deepEqual(
      publishedFaults(list, [r2]).map((fault) => [fault.path, fault.allowed]),
      [["0.id", "a release of the catalog"]],
    );
    assert.deepEqual(
      publishedFaults([...list, list[0]!]).map((fault) => fault.path),
      ["2.id"],
    );
  });

  it("refuse a release with open blockers", () => {
    assert.throws(
      () => publish(list, getRelease("r3")),
      /Publishing r3 has 2 faults:[\s\S]*services-unbuilt[\s\S]*vector-store-unwritten/,
    );
  });

  it("keep the main branch's list as the beginning of this one", () => {
    assert.deepEqual(appendOnlyFaults(list.slice(0, 1), list), []);
    assert.deepEqual(
      appendOnlyFaults(list, list.slice(0, 1)).map((fault) => [fault.path, fault.seen]),
      [["1", "nothing"]],
    );
    const swapped = [list[1]!, list[0]!];
    assert.equal(appendOnlyFaults(list, swapped).length, 2);
    const rewritten = [{ id: "r1", hash: contentHash(r2) }, list[1]!];
    const [fault] = appendOnlyFaults(list, rewritten);
    assert.match(fault?.allowed ?? "", /as on the main branch: the list is append-only/);
  });

  it("report every fault of a broken list", () => {
    assert.throws(
      () => parsePublished([{ id: "R1", hash: "x" }, { id: "r2" }]),
      /releases\/published\.json has 3 faults/,
    );
  });
});
