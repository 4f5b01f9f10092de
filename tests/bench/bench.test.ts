import assert from "node:assert/strict";
import { join } from "node:path";
import { execa } from "execa";
import { z } from "zod";
import { parseBenchRequest } from "../../bench/bench-request.ts";
import { benches, runBench } from "../../bench/main.ts";
import { interleave, isMet, median, quantile } from "../../bench/ratio.ts";

/** What a reader of `npm run bench -- NAME --json` may count on. */
const line = z
  .object({
    name: z.string().regex(/^[a-z][a-z0-9.-]+$/),
    ratio: z.number(),
    goal: z.number(),
    better: z.enum(["higher", "lower"]),
    met: z.enum(["yes", "no"]),
    loadBefore: z.number().nonnegative(),
    loadAfter: z.number().nonnegative(),
    cpus: z.number().int().positive(),
    at: z.iso.datetime(),
    node: z.string().regex(/^v\d+\./),
    postgres: z.string().regex(/^\d+/),
    vault: z.string().regex(/^\d+\.\d+/),
  })
  .catchall(z.union([z.number(), z.string(), z.array(z.number())]));

describe("benches", function () {
  this.timeout(120_000);

  it("all load, and say what they need", async () => {
    for (const [name, load] of Object.entries(benches)) {
      const { bench, needs } = await load();
      assert.equal(typeof bench, "function", name);
      assert.ok(["nothing", "servers", "platform"].includes(needs), name);
    }
  });

  // The others start whole programs: minutes. What they print goes through the same two functions.
  for (const [name, rows, names] of [
    ["seal", 300, ["seal", "seal.transit-rows", "seal.transit-batches", "seal.200", "seal.4096", "seal.65536"]],
    ["seal-scale", 400, ["seal-scale.rate", "seal-scale.memory", "seal-scale.peak-mib"]],
    ["open", 300, ["open"]],
    ["rollback", 500, ["rollback", "rollback.seconds"]],
  ] as const)
    it(`${name} prints a well-formed line for each of its ratios`, async () => {
      const lines = await runBench(name, { rounds: 1, rows });
      assert.deepEqual(
        lines.map((ratio) => ratio.name),
        names,
      );
      for (const ratio of lines) {
        const parsed = line.parse(JSON.parse(JSON.stringify(ratio)));
        assert.ok(parsed.ratio > 0, parsed.name);
        assert.equal(parsed.met, isMet(ratio) ? "yes" : "no");
      }
    });

  it("refuse what does not exist with all that is allowed, before anything starts", async () => {
    const refused = (args: readonly string[]): string => {
      const refusal = { message: "" };
      assert.throws(
        () => parseBenchRequest(args, Object.keys(benches)),
        (error: Error) => {
          refusal.message = error.message;
          return error instanceof RangeError;
        },
      );
      return refusal.message;
    };
    assert.match(refused(["sael"]), /^bench "sael"; usage: npm run bench -- NAME .*seal-scale/);
    assert.match(refused(["seal", "--unknown"]), /^Unknown option '--unknown'; usage: .*--rounds R/);
    const numbers = refused(["seal", "--rounds", "0", "--rows", "many"]);
    assert.equal(
      numbers,
      "--rounds 0: allowed are whole numbers from 1\n--rows many: allowed are whole numbers from 1",
    );
    const [main, unknown] = [join(import.meta.dirname, "../../bench/main.ts"), ["seal", "--unknown"]];
    await assert.rejects(execa(process.execPath, [main, ...unknown]), { exitCode: 2, stdout: "" });
  });

  it("take the middle value, and what lies between", () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.equal(quantile([0, 10], 0.99), 9.9);
    assert.ok(Number.isNaN(median([])));
  });

  it("let both sides take turns, each beginning as often as the other", async () => {
    const seen: string[] = [];
    await interleave(
      4,
      async (round) => void seen.push(`ours ${round}`),
      async (round) => void seen.push(`theirs ${round}`),
    );
    assert.deepEqual(
      seen.map((one) => one.split(" ")[0]),
      ["theirs", "ours", "ours", "theirs", "theirs", "ours", "ours", "theirs"],
    );
  });
});
