import { r2 } from "../../migrations/onboarding-fixture.ts";
import { routePath } from "./cluster-region.ts";
import type { ClusterWorld, ForwardStep } from "./cluster-world.ts";
import { forwardSteps } from "./cluster-world.ts";

/** What goes wrong when a promotion stands after some step, and how it ends on R1 all the same. */
export interface ClusterFault {
  readonly title: string;
  /** Steps after which it can happen. @default all */
  readonly after?: readonly ForwardStep[];
  /** Runs when the step has ended; leaves the environment on R1, which is then looked at. */
  run(world: ClusterWorld, after: ForwardStep): Promise<void>;
}

/** From the first share on there is a route. */
const shared = forwardSteps.slice(2);

/** Rolls back as an update does. @throws when anything is left to do */
async function rollBack(world: ClusterWorld): Promise<void> {
  const open = await world.rollBack();
  if (open.length > 0) throw new Error(`the rollback did not end: ${open.join("; ")}`);
}

/** The step after this one, which must not end well. */
async function mustFail(world: ClusterWorld, after: ForwardStep, allowed: RegExp): Promise<void> {
  const next = forwardSteps[forwardSteps.indexOf(after) + 1];
  if (next === undefined) return;
  const said = await world.step(next).then(
    ({ status, summary }) => `${status}: ${summary}`,
    (error: Error) => `threw: ${error.message}`,
  );
  if (!allowed.test(said)) throw new Error(`${next} was to fail, and ${said}`);
}

export const clusterFaults: readonly ClusterFault[] = [
  { title: "nothing else", run: rollBack },
  {
    title: "the second region's database is lost during the next step, and comes back",
    async run(world, after) {
      await world.us.postgres.stop();
      try {
        await mustFail(world, after, /^(threw|partial)/);
      } finally {
        await world.us.postgres.restart();
      }
      await world.releaseHolds();
      await rollBack(world);
    },
  },
  {
    title: "the second region's API server restarts while the next share is given",
    after: ["prepare general", "5 percent", "cutover general"],
    async run(world, after) {
      const before = await world.eu.registry.traffic.find("clusters");
      await world.us.stopApiServer();
      try {
        await mustFail(world, after, /^threw: .*region us, traffic: .*ECONNREFUSED/s);
        const { percent } = (await world.eu.registry.traffic.find("clusters")) ?? {};
        if ((percent ?? 0) !== (before?.percent ?? 0)) throw new Error(`the step counts as begun: ${percent} percent`);
      } finally {
        await world.us.startApiServer();
      }
      await rollBack(world);
    },
  },
  {
    title: "the second region's API server is away during the rollback, which moves the tenants and is repeated",
    after: shared,
    async run(world) {
      await world.us.stopApiServer();
      let open: string[];
      try {
        open = await world.rollBack();
      } finally {
        await world.us.startApiServer();
      }
      if (open.length !== 1 || !/partial: .*region us, traffic/s.test(open[0] ?? ""))
        throw new Error(`only the share in us was to be left: ${open.join("; ")}`);
      await rollBack(world);
    },
  },
  {
    title: "another field manager writes into the routes before the rollback",
    after: shared,
    async run(world) {
      for (const region of [world.eu, world.us]) {
        const { body } = await region.ask("GET", routePath);
        const { spec } = body as { spec: { parentRefs: object[]; rules: { backendRefs: object[] }[] } };
        const rules = spec.rules.map((rule) => ({
          ...rule,
          backendRefs: rule.backendRefs.map((backend) => ({ ...backend, weight: 50 })),
        }));
        const theirs = {
          apiVersion: "gateway.networking.k8s.io/v1",
          kind: "HTTPRoute",
          metadata: { name: "clusters-traffic", namespace: "gateway" },
          spec: { parentRefs: spec.parentRefs, rules },
        };
        const taken = await region.ask(
          "PATCH",
          `${routePath}?fieldManager=ana&force=true`,
          theirs,
          "application/apply-patch+yaml",
        );
        if (taken.status !== 200) throw new Error(JSON.stringify(taken.body));
      }
      await rollBack(world);
    },
  },
  {
    title: "somebody holds the release: the next step is refused, the rollback is not",
    async run(world, after) {
      await world.hold();
      await mustFail(world, after, /held since/);
      await rollBack(world);
      await world.releaseHolds();
    },
  },
  {
    title: "the rollback ends after two nodes, and is run again",
    async run(world) {
      await world.rollBack(2);
      await rollBack(world);
    },
  },
  {
    title: "the rollback ends after its first cutover, the promotion goes on, and everything is taken back",
    after: ["cutover canary", "cutover general", "100 percent"],
    async run(world, after) {
      await world.rollBack(4);
      await world.promoteUntil(after);
      await rollBack(world);
    },
  },
  {
    title: "a gate refuses the share: the program itself takes everything back",
    after: ["5 percent", "25 percent", "100 percent"],
    async run(world, after) {
      await world.endSoak();
      world.metrics.answers.set("errors", [12.5]);
      try {
        const said = await world.traffic(after === "100 percent" ? "flip" : "canary", r2).then(
          ({ summary }) => summary,
          (error: Error) => error.message,
        );
        if (!/is given up at .*errors: observed 12.5 percent, at most 1 percent: no-go/s.test(said))
          throw new Error(said);
        if ((await world.holds()) !== 1) throw new Error("no hold was written");
        await world.requireR1();
      } finally {
        world.metrics.answers.set("errors", [0]);
        await world.releaseHolds();
      }
      await rollBack(world);
    },
  },
  {
    title: "nothing was measured: the share stays until a human looks, and goes back",
    after: ["5 percent", "25 percent", "100 percent"],
    async run(world, after) {
      await world.endSoak();
      world.metrics.answers.set("errors", []);
      try {
        const { status, summary } = await world.traffic(after === "100 percent" ? "flip" : "canary", r2);
        if (status !== "waiting" || !/needs a human/.test(summary)) throw new Error(`${status}: ${summary}`);
      } finally {
        world.metrics.answers.set("errors", [0]);
      }
      await rollBack(world);
    },
  },
];
