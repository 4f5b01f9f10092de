import assert from "node:assert/strict";
import { allDrills } from "../drills/all-drills.ts";
import { testedCases } from "../drills/tested-cases.ts";
import { SeededRandom } from "../workload/seeded-random.ts";
import { readPage } from "./markdown.ts";

const page = readPage("docs/faults.md").text;

/** Cells of the table rows under a heading, trimmed. */
function rowsUnder(heading: string): string[][] {
  const [, section = ""] = page.split(`\n${heading}\n`);
  return section
    .split(/\n## /)[0]!
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| -+/.test(line))
    .slice(1)
    .map((line) =>
      line
        .slice(2, -2)
        .split("|")
        .map((cell) => cell.trim()),
    );
}

const titlesOf = (name: string): string[] =>
  (allDrills.find((drill) => drill.name === name)?.cases(new SeededRandom(0)) ?? []).map(({ title }) => title);

describe("docs/faults.md", () => {
  it("states of every drill how many cases it has and how many of them `make test` runs", () => {
    const stated = rowsUnder("## The drills").map(([name, cases, tested]) => [name, Number(cases), Number(tested)]);
    const real = allDrills.map((drill) => {
      const cases = drill.cases(new SeededRandom(0)).length;
      return [`\`${drill.name}\``, cases, Math.min(cases, testedCases[drill.name] ?? cases)];
    });
    assert.deepEqual(stated, real);
  });

  it("lists every answer that `lost-ack` loses", () => {
    const stated = rowsUnder("## `lost-ack`").map(([title]) => title);
    assert.deepEqual(stated.toSorted(), titlesOf("lost-ack").toSorted());
  });

  it("lists every incident of `servers` with what has to become of the run", () => {
    const stated = rowsUnder("## `servers`").map(([incident, outcome]) => `${incident}: ${outcome}`);
    assert.deepEqual(stated.toSorted(), titlesOf("servers").toSorted());
  });
});
