import type { BackendFiles } from "../backend/backend-files.ts";
import { Refusal } from "../outcome.ts";
import { checkChain } from "./evidence-chain.ts";
import type { Anchor, CheckedChain, FoundEntry } from "./evidence-chain.ts";
import { emptyHead, linkOf, parseEntry, sealed } from "./evidence-entry.ts";
import type { EvidenceEntry, EvidenceFacts, EvidenceHead } from "./evidence-entry.ts";

/** The chain of one environment, one file an entry: `.release-coordinator/evidence/<project>/<environment>/00000001.json`. */
export class EvidenceLog {
  readonly #files: BackendFiles;
  readonly #place: { readonly project: string; readonly environment: string };

  constructor(files: BackendFiles, place: { readonly project: string; readonly environment: string }) {
    this.#files = files;
    this.#place = place;
  }

  /** The chain of another environment of the same project and backend. */
  of(environment: string): EvidenceLog {
    return new EvidenceLog(this.#files, { ...this.#place, environment });
  }

  /** Reads all of it. @param anchors where others saw it end */
  async read(anchors: readonly Anchor[] = []): Promise<CheckedChain> {
    const keys = await this.#keys();
    const found: FoundEntry[] = [];
    for (const [number, key] of keys) found.push({ number, text: (await this.#files.read(key)) ?? "" });
    return checkChain(found, this.#place, anchors);
  }

  async head(): Promise<EvidenceHead> {
    const last = [...(await this.#keys())].at(-1);
    if (last === undefined) return emptyHead;
    const [sequence, key] = last;
    return { sequence, link: linkOf((await this.#files.read(key)) ?? "") };
  }

  /** The last entry; undefined when there is none, or it cannot be read. */
  async last(): Promise<EvidenceEntry | undefined> {
    const key = [...(await this.#keys()).values()].at(-1);
    try {
      return key === undefined ? undefined : parseEntry((await this.#files.read(key)) ?? "");
    } catch {
      return undefined;
    }
  }

  /**
   * Adds an entry behind the last one; nothing is ever replaced.
   * @param after where the writer saw the chain end: two who both saw the same end cannot both go on
   * @throws {Refusal} needs-human when somebody else has written since
   */
  async append(facts: EvidenceFacts, after?: EvidenceHead, now = new Date()): Promise<EvidenceHead> {
    for (;;) {
      const head = after ?? (await this.head());
      const sequence = head.sequence + 1;
      const text = sealed({
        format: 1,
        ...this.#place,
        sequence,
        at: now.toISOString(),
        previous: head.link,
        ...facts,
      });
      if (await this.#files.create(this.#keyOf(sequence), text)) return { sequence, link: linkOf(text) };
      if (after !== undefined) throw await this.#overtaken(sequence);
    }
  }

  close(): Promise<void> {
    return this.#files.close();
  }

  async #overtaken(sequence: number): Promise<Refusal> {
    const text = (await this.#files.read(this.#keyOf(sequence))) ?? "";
    const { environment } = this.#place;
    const other = describe(text);
    return new Refusal("needs-human", [
      `somebody else was first in ${environment}: ${other}; what you read is no longer so`,
      `nothing was changed; look (coordinator status --env ${environment}), and repeat`,
    ]);
  }

  async #keys(): Promise<Map<number, string>> {
    const names = await this.#files.list(this.#folder);
    const numbered = names.flatMap((key): [number, string][] => {
      const digits = /\/(\d{8})\.json$/.exec(key)?.[1];
      return digits === undefined ? [] : [[Number(digits), key]];
    });
    return new Map(numbered.sort(([a], [b]) => a - b));
  }

  get #folder(): string {
    const { project, environment } = this.#place;
    return `.release-coordinator/evidence/${project}/${environment}/`;
  }

  #keyOf(sequence: number): string {
    return `${this.#folder}${String(sequence).padStart(8, "0")}.json`;
  }
}

function describe(text: string): string {
  try {
    const { who, act, phase, at } = parseEntry(text);
    return `${who} has ${phase} a ${act} at ${at}`;
  } catch {
    return "an entry that cannot be read";
  }
}
