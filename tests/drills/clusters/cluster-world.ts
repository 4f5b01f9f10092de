import { ensureKubernetes } from "../../../local/toolchain/kubernetes.ts";
import { cutoverNode } from "../../../migrations/nodes/cutover-node.ts";
import type { NodeOutcome } from "../../../migrations/nodes/node.ts";
import { prepareNode } from "../../../migrations/nodes/prepare-node.ts";
import { trafficNode } from "../../../migrations/nodes/traffic-node.ts";
import { onboardTenants } from "../../../migrations/onboarding.ts";
import { tenantDatabase } from "../../../migrations/registry/tenant-id.ts";
import type { TrafficInputs } from "../../../migrations/traffic.ts";
import type { WaveInputs } from "../../../migrations/wave-inputs.ts";
import { r1, r2 } from "../../migrations/onboarding-fixture.ts";
import { PrometheusServer } from "../../migrations/traffic/prometheus-server.ts";
import { getVault } from "../../servers.ts";
import { ClusterRegion } from "./cluster-region.ts";

type Target = typeof r1 | typeof r2;

/** What a promotion does, in its order; each is an update that ends there. */
export const forwardSteps = [
  "prepare canary",
  "prepare general",
  "5 percent",
  "25 percent",
  "cutover canary",
  "cutover general",
  "100 percent",
] as const;
export type ForwardStep = (typeof forwardSteps)[number];

const environment = "clusters";
const waves = [
  { name: "canary", selector: { ids: ["canary-eu", "canary-us"] } },
  { name: "general", selector: { rest: true } },
] as const;
const tenants = { eu: ["canary-eu", "general-eu"], us: ["canary-us", "general-us"] } as const;
const gate = {
  id: "errors",
  title: "Few errors",
  query: "errors",
  compare: "at-most",
  value: 1,
  unit: "percent",
} as const;
const steps = [5, 25, 100].map((percent) => ({ percent, soakMinutes: 30, gates: [gate] }));

/**
 * Two regions with two waves each, moved by the nodes that Pulumi runs, in its order: real PostgreSQL, Vault and API servers. Its
 * tenants live through all cases: each one ends on R1.
 */
export class ClusterWorld {
  readonly eu: ClusterRegion;
  readonly us: ClusterRegion;
  readonly metrics: PrometheusServer;
  #bodies = "";

  private constructor(eu: ClusterRegion, us: ClusterRegion, metrics: PrometheusServer) {
    this.eu = eu;
    this.us = us;
    this.metrics = metrics;
  }

  static async make(): Promise<ClusterWorld> {
    await ensureKubernetes();
    const { address, token } = getVault();
    const mount = await fetch(`${address}/v1/sys/mounts/transit-${environment}`, {
      method: "POST",
      headers: { "X-Vault-Token": token },
      body: JSON.stringify({ type: "transit" }),
    });
    if (!mount.ok && !(await mount.text()).includes("already in use"))
      throw new Error(`transit mount: ${mount.status}`);
    const [eu, us] = [await ClusterRegion.start("eu"), await ClusterRegion.start("us")];
    const world = new ClusterWorld(eu, us, new PrometheusServer());
    process.env["DRILL_METRICS_URL"] = await world.metrics.start();
    world.metrics.answers.set("errors", [0]);
    for (const region of [eu, us]) await world.#settle(region);
    world.#bodies = await world.#digest();
    return world;
  }

  /** Takes a promotion so far and no further, soaks included. */
  async promoteUntil(last: ForwardStep): Promise<void> {
    for (const step of forwardSteps.slice(0, forwardSteps.indexOf(last) + 1)) {
      const { status, summary } = await this.step(step);
      const wanted = step.endsWith("percent") ? "waiting" : "done";
      if (status !== wanted) throw new Error(`${step} ended ${status}: ${summary}`);
    }
  }

  /** One step of a promotion. */
  async step(step: ForwardStep): Promise<NodeOutcome> {
    if (step === "5 percent") return this.traffic("canary", r2);
    await this.endSoak();
    if (step === "25 percent") return this.traffic("canary", r2);
    if (step === "100 percent") return this.traffic("flip", r2);
    const [kind, wave = ""] = step.split(" ");
    if (kind === "prepare") return prepareNode.run(this.#inputs("prepare", wave, r2));
    if (wave === "canary") await this.traffic("canary", r2);
    return cutoverNode.run(this.#inputs("cutover", wave, r2));
  }

  /** The nodes of an update that pins R1, in their order. @param nodes only the first so many. @returns what did not end `done` */
  async rollBack(nodes = 6): Promise<string[]> {
    const runs: (() => Promise<NodeOutcome>)[] = [
      () => this.traffic("canary", r1),
      ...["canary", "general"].map((wave) => () => prepareNode.run(this.#inputs("prepare", wave, r1))),
      ...["canary", "general"].map((wave) => () => cutoverNode.run(this.#inputs("cutover", wave, r1))),
      () => this.traffic("flip", r1),
    ];
    const open: string[] = [];
    for (const run of runs.slice(0, nodes)) {
      const { status, summary } = await run();
      if (status !== "done") open.push(`${status}: ${summary}`);
    }
    return open;
  }

  traffic(phase: TrafficInputs["phase"], to: Target): Promise<NodeOutcome> {
    const back = to === r1 ? r2 : r1;
    return trafficNode.run({
      kind: "traffic",
      phase,
      environment,
      regions: [this.eu.target, this.us.target],
      waves: waves.map((wave) => ({ ...wave, release: to, back })),
      newer: r2,
      older: r1,
      paths: [{ path: "/healthz", service: "platform-api" }],
      steps,
      metrics: "env:DRILL_METRICS_URL",
      carrier: { kind: "gateway-api", gateway: "platform", namespace: "gateway" },
      releaseRoles: ["platform_r1", "platform_r2"],
      concurrency: 2,
    });
  }

  /** The soak that runs is over. */
  async endSoak(): Promise<void> {
    const state = await this.eu.registry.traffic.find(environment);
    if (state !== undefined) await this.eu.registry.traffic.put({ ...state, waitingUntil: new Date(0) });
  }

  async holds(): Promise<number> {
    return (await this.eu.registry.holds.inForce(environment)).length;
  }

  async hold(): Promise<void> {
    await this.eu.registry.holds.place({ environment, hashes: [r2.hash], who: "ana", why: "drill" });
  }

  async releaseHolds(): Promise<void> {
    await this.eu.registry.holds.release(environment);
  }

  /** @throws whatever is not exactly where R1 is pinned: databases, routes, shares in registry and cluster, bodies */
  async requireR1(): Promise<void> {
    const faults: string[] = [];
    for (const region of [this.eu, this.us]) {
      for (const tenant of tenants[region.name as "eu" | "us"]) {
        const [row] = await region.postgres.query<{ pin: string; position: string | null }>(
          tenantDatabase(tenant),
          "SELECT w.pin, m.position FROM rc.whereabouts AS w LEFT JOIN rc.mirror AS m ON true",
        );
        const mayBe = [null, "off", "mirroring"];
        if (row?.pin !== r1.pin || !mayBe.includes(row.position))
          faults.push(`${tenant}: ${row?.pin} ${row?.position}`);
      }
      for (const { tenant, pin } of await region.registry.routes.list())
        if (pin !== r1.pin) faults.push(`${tenant} is routed to ${pin}`);
      const share = (await region.registry.traffic.find(environment))?.percent ?? 0;
      const routed = await region.routedPercent();
      if (share !== 0 || routed !== 0)
        faults.push(`${region.name}: ${share} percent in the registry, ${routed} in the route`);
    }
    if ((await this.#digest()) !== this.#bodies) faults.push("bodies are not what they were");
    if (faults.length > 0) throw new Error(`not where R1 is pinned: ${faults.join("; ")}`);
  }

  async end(): Promise<void> {
    await this.metrics.stop();
    await this.eu.end();
    await this.us.end();
  }

  #inputs(kind: WaveInputs["kind"], wave: string, release: Target): WaveInputs {
    return {
      kind,
      environment,
      wave,
      waves,
      regions: [this.eu.target, this.us.target],
      release,
      back: release === r1 ? r2 : r1,
      releaseRoles: ["platform_r1", "platform_r2"],
      deadlineSeconds: 240,
      concurrency: 2,
      traffic: { pin: r2.pin, percent: 25 },
    };
  }

  async #settle(region: ClusterRegion): Promise<void> {
    const ids = tenants[region.name as "eu" | "us"];
    const made = await onboardTenants({
      environment,
      region: region.target,
      release: r1,
      tenants: ids.map((id) => ({ id })),
      releaseRoles: ["platform_r1", "platform_r2"],
    });
    for (const { status, reason } of made) if (status !== "done") throw new Error(reason);
    for (const id of ids)
      await region.postgres.query(
        tenantDatabase(id),
        `WITH added AS (INSERT INTO prompts (title) SELECT 'p' || n FROM generate_series(1, 20) AS n RETURNING id)
         INSERT INTO prompt_bodies SELECT id, 'body of ' || id FROM added`,
      );
  }

  async #digest(): Promise<string> {
    const found: string[] = [];
    for (const region of [this.eu, this.us])
      for (const id of tenants[region.name as "eu" | "us"]) {
        const [row] = await region.postgres.query<{ all: string }>(
          tenantDatabase(id),
          "SELECT md5(string_agg(prompt_id || body, ',' ORDER BY prompt_id)) AS all FROM prompt_bodies",
        );
        found.push(`${id} ${row?.all}`);
      }
    return found.join("; ");
  }
}
