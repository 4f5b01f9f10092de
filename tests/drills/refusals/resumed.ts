import { killUpdateAt } from "./killed-update.ts";
import { r1, r2, stackText } from "./refusal-world.ts";
import type { RefusalWorld } from "./refusal-world.ts";

/** What is the opposite of a refusal: an update that was killed half way is gone on with by the next one. */
export interface ResumedCase {
  readonly title: string;
  /** Leaves the environment on R2, every tenant of it. */
  run(world: RefusalWorld): Promise<void>;
}

export const resumedCases: readonly ResumedCase[] = [
  {
    title: "goes on with a promotion that was killed in the middle of its prepare",
    async run(world) {
      await world.writeStackFile(stackText(r2, r1));
      await killUpdateAt("chunk.commit.before", world);
      await assertRuns(world, r1, "after the kill");
      await goOn(world);
      await assertRuns(world, r2, "after the next update");
    },
  },
  {
    title: "turns round a rollback that was killed in the middle of its cutover",
    async run(world) {
      await world.writeStackFile(stackText(r1, r2));
      await killUpdateAt("cutover.lock.after", world);
      await world.writeStackFile(stackText(r2, r1));
      await goOn(world);
      await assertRuns(world, r2, "after the next update");
    },
  },
];

/** The lock of the dead update is the only thing that somebody has to take away. */
async function goOn(world: RefusalWorld): Promise<void> {
  const locked = await world.run("pulumi", ["up", "--yes", "--skip-preview"]);
  if (locked.exitCode === 0 || !locked.output.includes("pulumi cancel"))
    throw new Error(`the dead update's lock should be named with its mend:\n${locked.output}`);
  await world.succeed("cancel", "--yes");
  await world.succeed("up", "--yes", "--skip-preview", "--message", `promote ${r2}`);
  const left = await world.run("pulumi", ["preview", "--expect-no-changes"]);
  if (left.exitCode !== 0) throw new Error(`the update has left something to do:\n${left.output}`);
}

async function assertRuns(world: RefusalWorld, pin: string, when: string): Promise<void> {
  const routes = await world.servers.sql(
    "rc_registry",
    "SELECT tenant, pin FROM registry.route WHERE tenant IN ('acme', 'cobalt') ORDER BY 1",
  );
  const other = routes.filter((route) => route["pin"] !== pin);
  if (routes.length !== 2 || other.length > 0)
    throw new Error(`${when} every tenant should run ${pin}, but: ${JSON.stringify(routes)}`);
  if (pin === r1) return;
  for (const tenant of ["tenant_acme", "tenant_cobalt"]) {
    const [counts] = await world.servers.sql(
      tenant,
      "SELECT (SELECT count(*)::int FROM prompts) AS prompts, (SELECT count(*)::int FROM prompt_bodies_sealed) AS sealed",
    );
    if (counts?.["prompts"] !== counts?.["sealed"] || counts?.["prompts"] !== 20)
      throw new Error(`${when} ${tenant} should have 20 prompts and as many sealed bodies: ${JSON.stringify(counts)}`);
  }
}
