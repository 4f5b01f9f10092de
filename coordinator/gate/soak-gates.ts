import type { Environment } from "../../releases/environment.ts";
import { pinOf } from "../../releases/pin.ts";
import type { Release } from "../../releases/release.ts";
import type { EvidenceLog } from "../evidence/evidence-log.ts";
import { gate } from "./gate.ts";
import type { Gate } from "./gate.ts";
import { servedSince, verifiedSince } from "./served-since.ts";

const hourMs = 3_600_000;

/** Does the environment that a release passes first say that this very hash works there, and for long enough? */
export async function upstreamGate(
  { upstream, name }: Environment,
  to: Release,
  evidence: EvidenceLog | undefined,
  now: Date,
): Promise<Gate> {
  const made = { id: "upstream", title: "This very hash works in the environment before", canOverride: true } as const;
  if (upstream === undefined) return gate({ ...made, outcome: "go", evidence: `nothing is before ${name}` });
  const { environment, soakHours } = upstream;
  const no = (why: string, eligibleAt: string | null = null) =>
    gate({ ...made, outcome: eligibleAt === null ? "no-go" : "needs-human", evidence: why, eligibleAt });
  if (evidence === undefined) return no(`the evidence of ${environment} is out of reach on this backend`);
  const { entries, faults } = await evidence.of(environment).read();
  if (faults.length > 0)
    return no(`the evidence of ${environment} is not whole (${faults[0]}): coordinator evidence --env ${environment}`);
  const pin = pinOf(to);
  const since = verifiedSince(entries, pin);
  if (since === undefined)
    return no(
      `nobody has proven ${pin} in ${environment}: coordinator promote ${to.id} --env ${environment}, or verify`,
    );
  const ready = since.getTime() + soakHours * hourMs;
  const proven = `${environment} runs ${pin} since ${since.toISOString()}`;
  if (ready > now.getTime()) return no(`${proven}; ${soakHours} hours are asked`, new Date(ready).toISOString());
  return gate({ ...made, outcome: "go", evidence: `proven: ${proven}` });
}

/** Have the waves before served the release for as long as they have to? */
export async function soakGate(
  { waves }: Environment,
  to: Release,
  moving: readonly string[],
  evidence: EvidenceLog | undefined,
  now: Date,
): Promise<Gate> {
  const made = {
    id: "soak",
    title: "The waves before have served the release long enough",
    canOverride: true,
  } as const;
  const last = waves.findLastIndex(({ name }) => moving.includes(name));
  const asked = waves.slice(0, Math.max(last, 0)).filter(({ soakHours = 0 }) => soakHours > 0);
  if (asked.length === 0) return gate({ ...made, outcome: "go", evidence: "no wave before has to" });
  const first = `move it alone first: coordinator promote ${to.id} --wave ${asked[0]?.name}`;
  if (evidence === undefined)
    return gate({ ...made, outcome: "no-go", evidence: "how long they serve it is out of reach on this backend" });
  const { entries } = await evidence.read();
  const found = asked.map(({ name, soakHours = 0 }) => {
    const since = servedSince(entries, name, pinOf(to));
    return { name, soakHours, since, ready: since && since.getTime() + soakHours * hourMs };
  });
  const absent = found.filter(({ since }) => since === undefined);
  if (absent.length > 0)
    return gate({
      ...made,
      outcome: "needs-human",
      evidence: `wave ${absent.map(({ name }) => name).join(", ")} does not serve it yet; ${first}`,
    });
  const latest = Math.max(...found.map(({ ready = 0 }) => ready));
  const evidenceText = found
    .map(
      ({ name, soakHours, since }) =>
        `wave ${name} serves it since ${since?.toISOString()}, ${soakHours} hours are asked`,
    )
    .join("; ");
  if (latest <= now.getTime()) return gate({ ...made, outcome: "go", evidence: evidenceText });
  return gate({
    ...made,
    outcome: "needs-human",
    evidence: evidenceText,
    eligibleAt: new Date(latest).toISOString(),
  });
}
