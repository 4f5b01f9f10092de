import { withoutRows } from "../postgres/errors.ts";
import { resolveReference } from "../reference.ts";
import type { Registry } from "../registry/registry.ts";
import type { TrafficState } from "../registry/traffic-states.ts";
import type { TrafficInputs } from "../traffic.ts";
import { nextMove, soakEnd } from "../traffic/course.ts";
import { carry } from "../traffic/carry.ts";
import { judgeMetric } from "../traffic/metric-gate.ts";
import type { MetricJudgement } from "../traffic/metric-gate.ts";
import type { RegionTarget } from "../wave-inputs.ts";
import { giveUp } from "./give-up.ts";
import type { MigrationNode, NodeOutcome } from "./node.ts";
import { isPlatformAbsent, readMembers, withRegistries } from "./wave-members.ts";

type Registries = ReadonlyMap<RegionTarget, Registry>;
type Step = TrafficInputs["steps"][number];

/**
 * Requests without a tenant come to the newer release in steps and leave it at once. A step that its gates refuse gives the
 * release up: see `give-up.ts`.
 */
export const trafficNode: MigrationNode<TrafficInputs> = {
  id: (inputs) => `traffic:${inputs.phase}`,

  async isUnfinished(inputs) {
    try {
      return await withRegistries(inputs, { isReadOnly: true }, async (registries) => {
        const state = await findState(inputs, registries);
        if (!isWanted(inputs)) return state === undefined || state.percent > 0;
        if (inputs.phase === "flip" && !isWhole(inputs)) return false;
        return nextMove(stepsOf(inputs), state, new Date()).kind !== "arrived";
      });
    } catch (error) {
      if (isPlatformAbsent(error)) return true;
      throw error;
    }
  },

  run: (inputs) =>
    withRegistries(inputs, { isReadOnly: false }, async (registries) => {
      const { phase, newer, older } = inputs;
      const about = `traffic to ${newer.pin}`;
      const ended = (status: NodeOutcome["status"], text: string): NodeOutcome => ({
        status,
        summary: `${about}: ${text}`,
        epoch: `${newer.pin} ${phase} ${text}`,
      });
      if (!isWanted(inputs)) {
        const where = `all of it is with ${older?.id}`;
        if (phase === "flip") return ended("done", where);
        // What cannot be returned is named and tried again; the tenants do not wait for it.
        return share(inputs, registries, { percent: 0, isProven: false }).then(
          () => ended("done", where),
          (error: unknown) => ended("partial", withoutRows(error).message),
        );
      }
      await refuseHeld(inputs, registries);
      if (phase === "flip") {
        if (!isWhole(inputs)) return ended("done", "it is flipped when every wave pins the release");
        const before = nextMove(canarySteps(inputs), await findState(inputs, registries), new Date());
        const behind = before.kind === "arrived" ? await findBehind(inputs, registries) : "which wait for the steps";
        if (behind !== undefined) return ended("waiting", `waits for the cutovers, ${behind}`);
      }
      return await advance(inputs, registries, ended);
    }),
};

/** Goes as far as time and gates allow. */
async function advance(
  inputs: TrafficInputs,
  registries: Registries,
  ended: (status: NodeOutcome["status"], text: string) => NodeOutcome,
): Promise<NodeOutcome> {
  const steps = stepsOf(inputs);
  const said: string[] = [];
  for (;;) {
    const state = await findState(inputs, registries);
    const now = new Date();
    const move = nextMove(steps, state, now);
    if (move.kind === "arrived") return ended("done", [`${state?.percent ?? 0} percent`, ...said].join("; "));
    if (move.kind === "wait")
      return ended("waiting", `${state?.percent} percent, waiting until ${move.until.toISOString()}`);
    const step = steps[move.step] as Step;
    if (move.kind === "enter") {
      await share(inputs, registries, { percent: step.percent, isProven: false, waitingUntil: soakEnd(step, now) });
      continue;
    }
    const judged = await judge(inputs, step);
    const refused = judged.filter(({ outcome }) => outcome === "no-go");
    if (refused.length > 0) {
      const takeBack = () => share(inputs, registries, { percent: 0, isProven: false });
      return await giveUp(inputs, registries, { percent: step.percent, judged, takeBack });
    }
    const open = judged.filter(({ outcome }) => outcome === "needs-human");
    said.push(...judged.map(({ text }) => text));
    if (open.length > 0) return ended("waiting", `${step.percent} percent, needs a human: ${said.join("; ")}`);
    await share(inputs, registries, { percent: step.percent, isProven: true });
  }
}

async function judge({ metrics }: TrafficInputs, step: Step): Promise<readonly MetricJudgement[]> {
  if (step.gates.length === 0) return [];
  if (metrics === undefined) throw new Error("traffic: its gates need metrics: {url} in the stack file; add it");
  const url = resolveReference(metrics);
  return Promise.all(step.gates.map((gate) => judgeMetric(url, gate)));
}

/**
 * Writes the share where every region's gateway finds it, in all regions at once; the first region's row, which the steps are
 * read from, comes last, and on the way forward only when every region has it.
 * @throws naming every region that has it not
 */
async function share(
  inputs: TrafficInputs,
  registries: Registries,
  at: Pick<TrafficState, "percent" | "isProven" | "waitingUntil">,
): Promise<void> {
  const { environment, newer, older, paths } = inputs;
  const split = { newer: newer.id, ...(older === undefined ? {} : { older: older.id }), percent: at.percent, paths };
  const [home, ...others] = registries.values();
  const put = (registry: Registry | undefined) =>
    registry?.traffic.put({ ...split, environment, pin: newer.pin, ...at });
  const ended = await Promise.allSettled([
    ...inputs.regions.map((region) => carry(inputs, region, split)),
    ...others.map(put),
  ]);
  const faults = ended.flatMap((each) => (each.status === "rejected" ? [withoutRows(each.reason).message] : []));
  if (faults.length === 0 || at.percent === 0) await put(home);
  if (faults.length > 0) throw new Error(`${at.percent} percent could not be shared: ${faults.join("; ")}`);
}

/** The share that holds for this very content of the release; undefined: nothing was begun. */
async function findState({ environment, newer }: TrafficInputs, registries: Registries) {
  const [home] = registries.values();
  const state = await home?.traffic.find(environment);
  return state?.pin === newer.pin ? state : undefined;
}

const canarySteps = ({ steps }: TrafficInputs): readonly Step[] => steps.filter(({ percent }) => percent < 100);
const stepsOf = (inputs: TrafficInputs): readonly Step[] =>
  inputs.phase === "canary" ? canarySteps(inputs) : inputs.steps.filter(({ percent }) => percent === 100);
const isWanted = ({ waves, newer }: TrafficInputs) => waves.some(({ release }) => release.pin === newer.pin);
const isWhole = ({ waves, newer }: TrafficInputs) => waves.every(({ release }) => release.pin === newer.pin);

/** @throws naming the holds, before anything was shared */
async function refuseHeld({ environment, newer }: TrafficInputs, registries: Registries): Promise<void> {
  const [home] = registries.values();
  // A hold on one wave is that wave's matter.
  const holds = (await home?.holds.against(environment, newer.hash))?.filter(({ wave }) => wave === undefined) ?? [];
  const [hold] = holds;
  if (hold === undefined) return;
  throw new Error(
    `${environment} is held since ${hold.since.toISOString()} (by ${hold.who}: ${hold.why}), and ${newer.pin} is forbidden; ` +
      "no traffic was shared",
  );
}

/** How many tenants are not where their wave takes them; undefined: all are. */
async function findBehind(inputs: TrafficInputs, registries: Registries): Promise<string | undefined> {
  const waves = inputs.waves.map(({ name, selector }) => ({ name, selector }));
  for (const { name, release } of inputs.waves) {
    const members = await readMembers({ wave: name, waves }, registries);
    const away = members.filter(({ tenant }) => tenant.pin !== release.pin);
    if (away.length > 0)
      return `wave ${name}: ${away.length} of ${members.length} tenants are not there, e.g. ${away[0]?.tenant.id}`;
  }
  return undefined;
}
