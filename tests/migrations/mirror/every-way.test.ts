import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import type { Position } from "../../../migrations/ledger/position.ts";
import { Client } from "./client.ts";
import { positionOf, runNodes } from "./nodes.ts";
import { createTenant, openBodies, r1, r2, readBodies, seedPrompts, type TestTenant } from "./tenant-fixture.ts";

type Write = "insert" | "update" | "delete" | "move";
const releases = { r1, r2 };
const runsOn: Record<string, readonly string[]> = { r1: ["off", "mirroring"], r2: ["switched", "retired"] };

describe("from every position to every pin", function () {
  this.timeout(300_000);
  let tenant: TestTenant;
  let client: Client;
  before(async () => {
    tenant = await createTenant();
    await seedPrompts(tenant, 40);
    client = await Client.connect(tenant);
    for (const [id, body] of await readBodies(tenant, "off")) client.acknowledged.set(id, body);
  });
  after(() => tenant.close());

  it("the three nodes end where the pin can run, whatever was stopped before, with every write", async () => {
    const position = fc.constantFrom<Position>("off", "mirroring", "switched", "retired");
    const pin = fc.constantFrom<"r1" | "r2">("r1", "r2");
    const writes = fc.array(
      fc.record({
        write: fc.constantFrom<Write>("insert", "update", "delete", "move"),
        nth: fc.nat(),
        body: fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0")),
      }),
      { maxLength: 6 },
    );
    const way = fc.record({
      from: position,
      stopped: fc.record({ pin, count: fc.integer({ min: 0, max: 3 }), isFinalizeNamed: fc.boolean() }),
      pin,
      isFinalizeNamed: fc.boolean(),
      writes: fc.tuple(writes, writes, writes),
    });
    await fc.assert(
      fc.asyncProperty(way, async (one) => {
        await bringTo(one.from);
        await write(one.writes[0]);
        await runNodes(tenant, releases[one.stopped.pin], one.stopped);
        await write(one.writes[1]);
        await runNodes(tenant, releases[one.pin], { isFinalizeNamed: one.isFinalizeNamed });
        const end = await positionOf(tenant);
        assert.ok(runsOn[one.pin]?.includes(end), `${one.pin} cannot run on ${end}`);
        await write(one.writes[2]);
        await assertEveryRow(one.pin);
      }),
      { numRuns: Number(process.env["RC_PROPERTY_RUNS"] ?? 20), endOnFailure: true },
    );
  });

  async function bringTo(position: Position): Promise<void> {
    if (position === "off" || position === "mirroring") {
      await runNodes(tenant, r1);
      if ((await positionOf(tenant)) === position) return;
      if (position === "off") await runNodes(tenant, r1, { isFinalizeNamed: true });
      else await runNodes(tenant, r2, { count: 1 });
    } else {
      await runNodes(tenant, r1);
      await runNodes(tenant, r2, { isFinalizeNamed: position === "retired" });
    }
    assert.equal(await positionOf(tenant), position);
  }

  async function write(writes: readonly { write: Write; nth: number; body: string }[]): Promise<void> {
    for (const { write: kind, nth, body } of writes) {
      const ids = [...client.acknowledged.keys()];
      const id = ids[nth % Math.max(1, ids.length)];
      if (kind === "insert" || id === undefined) await client.insert(body);
      else if (kind === "update") await client.update(id, body);
      else if (kind === "delete") await client.delete(id);
      else await client.move(id, randomUUID());
    }
  }

  /** The authoritative side has what was acknowledged; once drained, so has the other one. */
  async function assertEveryRow(pin: "r1" | "r2"): Promise<void> {
    const expected = new Map([...client.acknowledged].sort());
    const position = (await positionOf(tenant)) as Position;
    assert.deepEqual(new Map([...(await readBodies(tenant, position))].sort()), expected);
    if (position !== "mirroring" && position !== "switched") return;
    await runNodes(tenant, pin === "r1" ? r2 : r1, { count: 1 });
    const other = position === "mirroring" ? await openBodies(tenant) : await readBodies(tenant, "mirroring");
    assert.deepEqual(new Map([...other].sort()), expected);
  }
});
