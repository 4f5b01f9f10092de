import type { Registry } from "../../migrations/registry/registry.ts";
import type { EnvironmentStack } from "../environment-stack.ts";
import { gate } from "../gate/gate.ts";
import type { Gate } from "../gate/gate.ts";
import { operatorName } from "../operator.ts";
import { reachableBackends } from "../backend/backend-files.ts";
import { clockToleranceMs } from "./evidence-chain.ts";
import type { Anchor } from "./evidence-chain.ts";
import { emptyHead } from "./evidence-entry.ts";
import type { EvidenceEntry, EvidenceFacts, EvidenceHead } from "./evidence-entry.ts";
import type { EvidenceLog } from "./evidence-log.ts";
import { openEvidence } from "./open-evidence.ts";

/** What an act says of itself; the rest is filled in. */
export type ActFacts = Pick<EvidenceFacts, "act" | "from" | "to"> & Partial<EvidenceFacts>;

/** The evidence of one act, from what it read first to what it left. */
export class ActEvidence {
  readonly #log: EvidenceLog | undefined;
  readonly #seen: EvidenceHead;
  readonly #last: EvidenceEntry | undefined;
  readonly #anchors: readonly Anchor[];
  #begun: ActFacts | undefined;

  private constructor(
    log: EvidenceLog | undefined,
    seen: EvidenceHead,
    last: EvidenceEntry | undefined,
    anchors: readonly Anchor[],
  ) {
    this.#log = log;
    this.#seen = seen;
    this.#last = last;
    this.#anchors = anchors;
  }

  /** Reads where the chain ends, and where the registry saw it end. */
  static async open(stack: EnvironmentStack, registry: Registry): Promise<ActEvidence> {
    const log = await openEvidence(stack);
    if (log === undefined) return new ActEvidence(undefined, emptyHead, undefined, []);
    const [seen, last, anchors] = [await log.head(), await log.last(), await anchorsOf(registry, stack.name)];
    return new ActEvidence(log, seen, last, anchors);
  }

  get log(): EvidenceLog | undefined {
    return this.#log;
  }

  /** Is the chain whole at its end, and is this machine's clock not behind it? */
  gate(now = new Date()): Gate {
    const title = "The evidence of this environment is whole, and the clock is not behind it";
    const made = { id: "evidence", title, canOverride: true } as const;
    if (this.#log === undefined)
      return gate({ ...made, outcome: "go", evidence: `none is kept on this backend; it is on ${reachableBackends}` });
    const { sequence, link } = this.#seen;
    const known = this.#anchors.find(
      (anchor) => anchor.sequence > sequence || (anchor.sequence === sequence && anchor.link !== link),
    );
    const look = "coordinator evidence shows what; bring the missing files back from a copy of the backend";
    if (known !== undefined)
      return gate({
        ...made,
        outcome: "no-go",
        evidence: `the chain ends at entry ${sequence}, and ${known.by} knows another entry ${known.sequence}; ${look}`,
      });
    const at = this.#last?.at;
    if (at !== undefined && now.getTime() < Date.parse(at) - clockToleranceMs)
      return gate({
        ...made,
        outcome: "no-go",
        evidence: `this machine says it is ${now.toISOString()}, and the last entry is of ${at}: set the clock right`,
      });
    return gate({
      ...made,
      outcome: "go",
      evidence: sequence === 0 ? "it begins with this act" : `${sequence} entries`,
    });
  }

  /**
   * Writes that an act begins; who comes second after the same reading is refused.
   * @throws {Refusal} needs-human when somebody else has begun or ended something since this one read
   */
  async begin(facts: ActFacts): Promise<void> {
    this.#begun = facts;
    await this.#log?.append(filled({ ...facts, phase: "begun" }), this.#seen);
  }

  /** The same for what must not wait: a rollback takes turns, and goes on without evidence when it cannot be written. */
  async beginAnyway(facts: ActFacts, warn: (line: string) => void): Promise<void> {
    this.#begun = facts;
    await this.#written({ ...facts, phase: "begun" }, warn);
  }

  /** Writes how it ended. @returns what the registry is to remember of the chain; `{}` when nothing was written */
  async end(facts: Partial<ActFacts>, warn: (line: string) => void): Promise<{ evidence?: EvidenceHead }> {
    if (this.#begun === undefined) return {};
    const head = await this.#written({ ...this.#begun, ...facts, phase: "ended" }, warn);
    return head === undefined ? {} : { evidence: head };
  }

  async close(): Promise<void> {
    await this.#log?.close();
  }

  async #written(facts: ActFacts, warn: (line: string) => void): Promise<EvidenceHead | undefined> {
    try {
      return await this.#log?.append(filled(facts));
    } catch (error) {
      warn(`warning: the evidence could not be written: ${(error as Error).message}`);
      return undefined;
    }
  }
}

/** Where the registry's records saw the chain end. */
export async function anchorsOf(registry: Registry, environment: string): Promise<Anchor[]> {
  const records = await registry.records.listPromotions(environment, 1000).catch(() => []);
  return records.flatMap(({ detail, id }) => {
    const { sequence, link } = (detail["evidence"] ?? {}) as Partial<EvidenceHead>;
    return typeof sequence === "number" && typeof link === "string"
      ? [{ sequence, link, by: `record ${id} of the registry` }]
      : [];
  });
}

export function filled(facts: ActFacts): EvidenceFacts {
  return {
    phase: "ended",
    who: operatorName(),
    digest: null,
    outcome: null,
    gates: [],
    approvals: [],
    verified: [],
    notes: [],
    seconds: null,
    ...facts,
  };
}
