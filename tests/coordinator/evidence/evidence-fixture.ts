import type { BackendFiles } from "../../../coordinator/backend/backend-files.ts";
import { filled } from "../../../coordinator/evidence/act-evidence.ts";
import type { EvidenceFacts } from "../../../coordinator/evidence/evidence-entry.ts";
import { EvidenceLog } from "../../../coordinator/evidence/evidence-log.ts";

export const r1 = "r1@111111111111";
export const r2 = "r2@222222222222";
export const pinsOf = (now: string, back = "none") => ({ general: { now, back } });

/** Facts of a promotion that ended well; `change` replaces some. */
export function factsOf(change: Partial<EvidenceFacts> = {}): EvidenceFacts {
  return filled({ act: "promotion", who: "ana", from: pinsOf(r1), to: pinsOf(r2, r1), outcome: "go", ...change });
}

/** A backend in memory. */
export class MemoryFiles implements BackendFiles {
  readonly texts = new Map<string, string>();

  async list(prefix: string): Promise<string[]> {
    return [...this.texts.keys()].filter((key) => key.startsWith(prefix)).sort();
  }
  async read(key: string): Promise<string | undefined> {
    return this.texts.get(key);
  }
  async create(key: string, text: string): Promise<boolean> {
    if (this.texts.has(key)) return false;
    this.texts.set(key, text);
    return true;
  }
  async close(): Promise<void> {}

  log(environment = "dev", project = "release-coordinator"): EvidenceLog {
    return new EvidenceLog(this, { project, environment });
  }

  /** The keys of entries, in their order. */
  get keys(): string[] {
    return [...this.texts.keys()].sort();
  }
}

/** A chain of so many entries, an hour apart. */
export async function chainOf(count: number): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  const start = Date.parse("2026-01-18T09:00:00Z");
  for (let nth = 0; nth < count; nth++)
    await files.log().append(factsOf({ notes: [`act ${nth + 1}`] }), undefined, new Date(start + nth * 3_600_000));
  return files;
}
