import assert from "node:assert/strict";
import { cutoverNode } from "../../../migrations/nodes/cutover-node.ts";
import type { NodeOutcome } from "../../../migrations/nodes/node.ts";
import { prepareNode } from "../../../migrations/nodes/prepare-node.ts";
import { trafficNode } from "../../../migrations/nodes/traffic-node.ts";
import { waveRefusals } from "../../../migrations/nodes/wave-refusals.ts";
import type { TrafficInputs } from "../../../migrations/traffic.ts";
import { r1, r2 } from "../onboarding-fixture.ts";
import { PrometheusServer } from "../traffic/prometheus-server.ts";
import { openWave, type WaveFixture } from "./wave-fixture.ts";

const errors = {
  id: "error-rate",
  title: "Few errors",
  query: "errors",
  compare: "at-most",
  value: 1,
  unit: "percent",
} as const;
const steps = [
  { percent: 5, soakMinutes: 30, gates: [errors] },
  { percent: 25, soakMinutes: 60, gates: [errors] },
  { percent: 100, soakMinutes: 60, gates: [errors] },
];

describe("traffic in steps", function () {
  this.timeout(240_000);
  const metrics = new PrometheusServer();
  let wave: WaveFixture;

  const inputs = (
    phase: TrafficInputs["phase"],
    to: typeof r1 | typeof r2,
    changes: Partial<TrafficInputs> = {},
  ): TrafficInputs => ({
    kind: "traffic",
    phase,
    environment: "onb",
    regions: [wave.onboarding.region],
    waves: [{ name: "general", selector: { rest: true }, release: to, back: to.id === "r1" ? r2 : r1 }],
    newer: r2,
    older: r1,
    paths: [{ path: "/healthz", service: "platform-api" }],
    steps,
    metrics: "env:ONB_METRICS_URL",
    carrier: { kind: "registry" },
    releaseRoles: ["platform_r1", "platform_r2"],
    concurrency: 2,
    ...changes,
  });
  const run = (
    phase: TrafficInputs["phase"],
    to: typeof r1 | typeof r2,
    changes?: Partial<TrafficInputs>,
  ): Promise<NodeOutcome> => trafficNode.run(inputs(phase, to, changes));
  const proof = { traffic: { pin: r2.pin, percent: 25 } };
  const cutover = (to: typeof r1 | typeof r2) => cutoverNode.run(wave.inputs(to, { kind: "cutover", ...proof }));
  const state = async () => {
    const found = await wave.registry.traffic.find("onb");
    return found && { percent: found.percent, isProven: found.isProven, pin: found.pin };
  };
  /** The soak that runs is over. */
  const endSoak = async () => {
    const found = await wave.registry.traffic.find("onb");
    assert.ok(found?.waitingUntil !== undefined && found.waitingUntil > new Date(), "no soak runs");
    await wave.registry.traffic.put({ ...found, waitingUntil: new Date(0) });
  };
  const fail = (running: Promise<NodeOutcome>): Promise<string> =>
    running.then(
      ({ summary }) => assert.fail(`it did not fail: ${summary}`),
      (error: Error) => error.message,
    );

  before(async () => {
    process.env["ONB_METRICS_URL"] = await metrics.start();
  });
  after(() => metrics.stop());
  beforeEach(async () => {
    wave = await openWave();
    metrics.answers.set("errors", [0.2]);
    metrics.asked.length = 0;
    await wave.seed(["acme", "borealis"], 5);
  });
  afterEach(() => wave.close());

  it("never waits: it shares, notes until when, and the cutovers change nothing before every step was proven", async () => {
    await prepareNode.run(wave.inputs(r2, { kind: "prepare" }));
    const first = await run("canary", r2);
    assert.equal(first.status, "waiting");
    assert.match(first.summary, /traffic to r2@2+: 5 percent, waiting until 20\d\d-/);
    assert.deepEqual(await state(), { percent: 5, isProven: false, pin: r2.pin });
    const again = await run("canary", r2);
    assert.deepEqual([again.status, again.summary], [first.status, first.summary]);
    assert.deepEqual(metrics.asked, []);
    const waiting = await cutover(r2);
    assert.equal(waiting.status, "waiting");
    assert.match(waiting.summary, /waits for its traffic, 5 of 25 percent, waiting until/);
    assert.deepEqual(new Set(Object.values(await wave.routes())), new Set([r1.pin]));
    assert.match((await run("flip", r2)).summary, /waits for the cutovers/);
    assert.equal(await trafficNode.isUnfinished?.(inputs("canary", r2)), true);

    await endSoak();
    const second = await run("canary", r2);
    assert.match(second.summary, /25 percent, waiting until/);
    assert.equal((await cutover(r2)).status, "waiting");
    await endSoak();
    const proven = await run("canary", r2);
    assert.deepEqual(proven.status, "done", proven.summary);
    assert.match(proven.summary, /25 percent; error-rate: observed 0.2 percent, at most 1 percent: go/);
    assert.equal(await trafficNode.isUnfinished?.(inputs("canary", r2)), false);
    assert.equal((await cutover(r2)).status, "done");
    assert.deepEqual(new Set(Object.values(await wave.routes())), new Set([r2.pin]));

    assert.match((await run("flip", r2)).summary, /100 percent, waiting until/);
    assert.equal(await trafficNode.isUnfinished?.(inputs("flip", r2)), true);
    await endSoak();
    assert.equal((await run("flip", r2)).status, "done");
    assert.deepEqual(await state(), { percent: 100, isProven: true, pin: r2.pin });
    for (const phase of ["canary", "flip"] as const)
      assert.equal(await trafficNode.isUnfinished?.(inputs(phase, r2)), false);
  });

  it("needs a human when nothing was measured, and goes on when something is", async () => {
    await run("canary", r2);
    await endSoak();
    metrics.answers.set("errors", []);
    const open = await run("canary", r2);
    assert.equal(open.status, "waiting");
    assert.match(
      open.summary,
      /5 percent, needs a human: error-rate: observed nothing, at most 1 percent: needs-human/,
    );
    assert.deepEqual(await state(), { percent: 5, isProven: false, pin: r2.pin });
    metrics.answers.set("errors", [0]);
    assert.match((await run("canary", r2)).summary, /25 percent, waiting until/);
  });

  it("is given up before a tenant has moved: share and hold, and the patch for the stack file", async () => {
    await run("canary", r2);
    await endSoak();
    metrics.answers.set("errors", [4.2]);
    const failure = await fail(run("canary", r2));
    assert.match(
      failure,
      /traffic to r2@2+ is given up at 5 percent:\n {2}error-rate: observed 4.2 percent, at most 1 percent: no-go/,
    );
    assert.match(failure, /all of it is with r1 again/);
    assert.match(failure, /Pulumi\.onb\.yaml, pins:\n {4}general: \{ now: r1@1+, back: r2@2+ \}/);
    assert.deepEqual(await state(), { percent: 0, isProven: false, pin: r2.pin });
    const [refused] = await waveRefusals(wave.inputs(r2, { kind: "cutover" }));
    assert.match(refused?.reason ?? "", /held since .*traffic: error-rate at 5 percent of the traffic/);
    assert.match(await fail(run("canary", r2)), /no traffic was shared/);
    assert.deepEqual(await state(), { percent: 0, isProven: false, pin: r2.pin });
    await wave.registry.holds.release("onb");
    metrics.answers.set("errors", [0.2]);
    assert.match((await run("canary", r2)).summary, /5 percent, waiting until/);
  });

  it("is given up after all have moved: the authority of every tenant goes back as well", async () => {
    await prepareNode.run(wave.inputs(r2, { kind: "prepare" }));
    await run("canary", r2, { steps: steps.map((step) => ({ ...step, soakMinutes: 0 })) });
    assert.equal((await cutover(r2)).status, "done");
    await run("flip", r2);
    assert.deepEqual(await state(), { percent: 100, isProven: false, pin: r2.pin });
    await endSoak();
    metrics.answers.set("errors", [Infinity]);
    const failure = await fail(run("flip", r2));
    assert.match(failure, /given up at 100 percent/);
    assert.match(failure, /wave general, region local: 2 tenants were taken back, all 2 are where they were/);
    assert.deepEqual(new Set(Object.values(await wave.routes())), new Set([r1.pin]));
    const [row] = (await wave.onboarding.query("acme", [
      "SELECT w.pin, m.position FROM rc.whereabouts AS w, rc.mirror AS m",
    ])) as { pin: string; position: string }[];
    assert.deepEqual([row?.pin, row?.position], [r1.pin, "mirroring"]);
    assert.deepEqual(await state(), { percent: 0, isProven: false, pin: r2.pin });
    // What the patch pins is what runs: nothing is left to do.
    assert.equal((await run("canary", r1)).status, "done");
    assert.equal(await cutoverNode.isUnfinished?.(wave.inputs(r1, { kind: "cutover" })), false);
  });

  it("goes back at once, whatever soak runs, and begins anew after it", async () => {
    await run("canary", r2);
    const back = await run("canary", r1);
    assert.deepEqual([back.status, back.summary], ["done", `traffic to ${r2.pin}: all of it is with r1`]);
    assert.deepEqual(await state(), { percent: 0, isProven: false, pin: r2.pin });
    assert.equal((await run("flip", r1)).status, "done");
    for (const phase of ["canary", "flip"] as const)
      assert.equal(await trafficNode.isUnfinished?.(inputs(phase, r1)), false);
    assert.match((await run("canary", r2)).summary, /5 percent, waiting until/);
  });

  it("stays below the flip while a wave pins the older release", async () => {
    const half = [
      { name: "canary", selector: { ids: ["acme"] }, release: r2, back: r1 },
      { name: "general", selector: { rest: true } as const, release: r1, back: r2 },
    ];
    await run("canary", r2, { waves: half, steps: steps.map((step) => ({ ...step, soakMinutes: 0 })) });
    const flip = await run("flip", r2, { waves: half });
    assert.deepEqual([flip.status, (await state())?.percent], ["done", 25], flip.summary);
    assert.match(flip.summary, /when every wave pins the release/);
  });

  it("shares nothing where a region cannot be told, and its steps do not begin", async () => {
    process.env["ONB_LOST_POSTGRES_URL"] = "postgresql://nobody@127.0.0.1:9/postgres";
    const regions = [wave.onboarding.region, { name: "lost", postgresUrl: "env:ONB_LOST_POSTGRES_URL" }];
    await assert.rejects(run("canary", r2, { regions }), /5 percent could not be shared/);
    assert.equal(await state(), undefined);
    // On the way back the others are told, and the lost one is named.
    await run("canary", r2);
    const back = await run("canary", r1, { regions });
    assert.deepEqual([back.status, (await state())?.percent], ["partial", 0], back.summary);
  });
});
