import { setTimeout as sleep } from "node:timers/promises";
import { onboardTenants } from "../../migrations/onboarding.ts";
import type { DrillCase } from "./drill.ts";
import { type DrillTenant, environment } from "./drill-tenant.ts";
import { judge } from "./judge.ts";
import { Traffic } from "./traffic.ts";
import type { UpdateProcess } from "./update-process.ts";
import { catalogR1, catalogR2 } from "./wave-stack.ts";
import { WaveWorld } from "./wave-world.ts";
import { keyless } from "./workload-mix.ts";

/** Where an update is held until the other one has had its say: a worker stands still there. */
export const hold = (point: string) => ({ RC_FAULT_POINT: point, RC_FAULT_SIGNAL: "SIGSTOP" });

/** A tenant under way to R2 in a real update, and somebody who comes along. */
interface Meeting {
  readonly world: WaveWorld;
  readonly tenant: DrillTenant;
  /** Holds a worker at `chunk.commit.after`. */
  readonly update: UpdateProcess;
  /** Lets the worker go on. */
  readonly wake: () => Promise<void>;
}

/** Real updates that meet each other, or a person. */
export const concurrentUpdates: readonly DrillCase[] = [
  meeting("a second `pulumi up` in the middle of the first", async ({ world, update, wake }) => {
    await expectLocked(world.stack.up());
    await wake();
    await expectEnd(update, 0);
  }),
  meeting("`pulumi destroy` in the middle of an update, and after it", async ({ world, update, wake }) => {
    await expectLocked(world.stack.up({}, "destroy"));
    await wake();
    await expectEnd(update, 0);
    const refused = world.stack.up({}, "destroy");
    if ((await refused.ended()) === 0 || !/protect/.test(refused.output))
      throw new Error(`destroy should be refused: ${refused.output}`);
  }),
  meeting("`pulumi refresh` in the middle of an update, and after it", async ({ world, update, wake }) => {
    await expectLocked(world.stack.up({}, "refresh"));
    await wake();
    await expectEnd(update, 0);
    const before = await world.stack.state();
    await expectEnd(world.stack.up({}, "refresh"), 0);
    const after = await world.stack.state();
    if (after.resources.join() !== before.resources.join()) throw new Error("a refresh has changed the resources");
  }),
  meeting("`pulumi refresh` after an update was killed", async ({ world, update }) => {
    await update.end();
    await world.stack.cancel();
    await expectEnd(world.stack.up({}, "refresh"), 0);
  }),
  meeting("the lock of a killed update, which stays until somebody takes it away", async ({ world, update }) => {
    await update.end();
    const refused = world.stack.up();
    await expectLocked(refused);
    await world.stack.cancel();
  }),
  meeting("an operation that a killed update has left pending in the state", async ({ world, update }) => {
    await update.end();
    await world.stack.cancel();
    const { pending } = await world.stack.state();
    if (!pending.some((urn) => urn.endsWith("::general-prepare")))
      throw new Error(`pending are ${pending.join(", ") || "none"}`);
  }),
  meeting("Ctrl-C once: the step under way ends, nothing is left behind", async ({ world, update, wake }) => {
    update.interrupt();
    await wake();
    const code = await update.ended();
    if (code === 0) throw new Error("an interrupted update ended as if nothing had been");
    await expectClean(world);
  }),
  meeting("Ctrl-C twice: ended in the middle of a step", async ({ world, update, wake }) => {
    update.interrupt();
    await sleep(500);
    update.interrupt();
    await update.ended();
    await wake().catch(() => {});
    if ((await world.stack.locks()).length > 0) await world.stack.cancel();
  }),
  promotion("Ctrl-C once at `coordinator promote`", async ({ world, update, wake }) => {
    update.interrupt();
    await wake();
    const code = await update.ended();
    if (code === 0) throw new Error("an interrupted promotion ended as if nothing had been");
    if (!/Ctrl-C|interrupted/i.test(update.output)) throw new Error(`it said nothing of it: ${update.output}`);
    await expectClean(world);
  }),
  promotion("Ctrl-C twice at `coordinator promote`", async ({ world, update, wake }) => {
    update.interrupt();
    await sleep(500);
    update.interrupt();
    await update.ended();
    await wake().catch(() => {});
    if ((await world.stack.locks()).length > 0) await world.stack.cancel();
  }),
  meeting("a tenant is onboarded in the middle of its wave", async ({ world, update, wake }) => {
    const id = "drl-late";
    const [born] = await onboardTenants({
      environment,
      region: {
        name: "local",
        postgresUrl: "env:DRL_POSTGRES_URL",
        vaultAddress: "env:DRL_VAULT_ADDR",
        vaultToken: "env:DRL_VAULT_TOKEN",
      },
      release: catalogR1,
      tenants: [{ id }],
      releaseRoles: ["platform_r1", "platform_r2"],
    });
    if (born?.status !== "done") throw new Error(born?.reason);
    await wake();
    await update.ended();
    // Whether that wave had counted it or not: the next update takes it along.
    await expectEnd(world.stack.up(), 0);
    const routes = await world.registry.routes.list([id]);
    if (routes[0]?.pin !== catalogR2.pin) throw new Error(`the late tenant is routed to ${routes[0]?.pin}`);
  }),
  meeting("a tenant is suspended in the middle of its wave", async ({ world, tenant, update, wake }) => {
    const ids = [tenant.tenant];
    await world.registry.tenants.setStatus("active", "suspended", { ids });
    await wake();
    await update.ended();
    const [route, position] = [await world.routeOf(tenant), await tenant.position()];
    const isWhole = route === (position === "switched" ? catalogR2.pin : catalogR1.pin);
    if (!isWhole) throw new Error(`the suspended tenant is ${position}, and routed to ${route}`);
    await world.registry.tenants.setStatus("suspended", "active", { ids });
  }),
  meeting("a hold is written in the middle of a wave", async ({ world, tenant, update, wake }) => {
    const { holds } = world.registry;
    const { id } = await holds.place({ environment, hashes: [catalogR2.hash], who: "ana", why: "error rate" });
    await wake();
    const code = await update.ended();
    if (code === 0 || !/general-cutover[^]*is held since .* \(by ana: error rate\)/.test(update.output))
      throw new Error(`it ended with ${code}, it should name the hold: ${update.output}`);
    const [route, position] = [await world.routeOf(tenant), await tenant.position()];
    if (route !== catalogR1.pin || position !== "mirroring")
      throw new Error(`the held tenant is ${position}, and routed to ${route}`);
    await holds.release(environment, { ids: [id] });
  }),
];

/** The tenant is on its way, somebody comes, and in the end the next update brings it there. */
function meeting(title: string, act: (meeting: Meeting) => Promise<void>, start = startUp): DrillCase {
  return {
    title,
    async run(stage, random) {
      const tenant = await stage.tenant("off");
      const world = await WaveWorld.open(stage, [{ tenant, at: catalogR1 }]);
      const traffic = new Traffic(tenant, stage.base, random, 2, undefined, keyless);
      traffic.start();
      try {
        const update = await start(world);
        const worker = await update.stoppedWorker();
        await act({ world, tenant, update, wake: async () => void process.kill(worker, "SIGCONT") });
        await world.stack.pin("forwards");
        await expectEnd(world.stack.up(), 0);
        await traffic.stop();
        await world.stack.clearPending();
        if ((await world.routeOf(tenant)) !== catalogR2.pin) throw new Error("the gateway does not follow");
        await judge(tenant, traffic.log, "switched");
      } finally {
        await traffic.stop().catch(() => {});
        await world.close();
      }
    },
  };
}

function promotion(title: string, act: (meeting: Meeting) => Promise<void>): DrillCase {
  return meeting(title, act, async ({ stack }) => {
    await expectEnd(stack.up(), 0); // R1, which the promotion comes from
    return stack.startCoordinator(["promote", "r2", "--env", environment], hold("chunk.commit.after"));
  });
}

async function startUp({ stack }: WaveWorld): Promise<UpdateProcess> {
  await stack.pin("forwards");
  return stack.up(hold("chunk.commit.after"));
}

/** It is refused because of the other one, and says who that is. */
export async function expectLocked(run: UpdateProcess): Promise<void> {
  const code = await run.ended();
  if (code === 0 || !/currently locked by[^]*created by \S+@\S+ \(pid \d+\)/.test(run.output))
    throw new Error(`it ended with ${code}, it should name the owner of the lock: ${run.output}`);
}

export async function expectEnd(run: UpdateProcess, code: number): Promise<void> {
  const ended = await run.ended();
  if (ended !== code) throw new Error(`it ended with ${ended}, not ${code}: ${run.output}`);
}

/** Nothing that somebody would have to take away by hand. */
async function expectClean({ stack }: WaveWorld): Promise<void> {
  const { pending } = await stack.state();
  const locks = await stack.locks();
  if (pending.length + locks.length > 0)
    throw new Error(`left behind: ${locks.length} locks, pending ${pending.join(", ") || "none"}`);
}
