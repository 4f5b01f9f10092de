import { parseEnvironment } from "../../releases/environment.ts";
import type { Environment } from "../../releases/environment.ts";
import { findRelease } from "../../releases/catalog.ts";
import { FaultReport } from "../../releases/fault.ts";
import { parsePin } from "../../releases/pin.ts";
import { Refusal } from "../outcome.ts";
import type { ResourceChange } from "../stack-events.ts";
import { StackFile } from "../stack-file.ts";

/** What is to leave an environment for good. */
export type Subject =
  | { readonly kind: "part"; readonly name: "vault" | "milvus" }
  | { readonly kind: "wave"; readonly name: string }
  /** The fleet that a release keeps for the way back. */
  | { readonly kind: "fleet"; readonly name: string };

/** @throws naming what could be decommissioned */
export function subjectOf(wanted: string, { waves, pins, present, name }: Environment, env: string): Subject {
  const names = waves.map((wave) => wave.name);
  const backs = backReleases(pins);
  if (wanted === "vault" || wanted === "milvus") {
    if (present[wanted]) return { kind: "part", name: wanted };
    throw new Error(`${wanted} is not present in ${name}; what an interrupted run left goes with: pulumi up -s ${env}`);
  }
  if (names.includes(wanted)) return { kind: "wave", name: wanted };
  if (backs.includes(wanted)) return { kind: "fleet", name: wanted };
  const parts = (["vault", "milvus"] as const).filter((part) => present[part]);
  const allowed = [...parts, ...names, ...backs].join(", ");
  const why = findRelease(wanted) === undefined ? "nothing" : "no fleet kept for the way back";
  throw new Error(`${wanted} is ${why} in ${name}; allowed: ${allowed}`);
}

/** A fleet holds nothing and is not protected: it leaves in one update. */
export const needsUnprotecting = ({ kind }: Subject): boolean => kind !== "fleet";

/** Takes the subject out of the stack file. */
export function takeOut(subject: Subject, file: StackFile): void {
  if (subject.kind === "part") file.removePresent(subject.name);
  if (subject.kind === "wave") file.removeWave(subject.name);
  file.removeLeaving(subject.name);
  if (subject.kind !== "fleet") return;
  for (const [wave, { now, back }] of Object.entries(file.pins()))
    if (back !== "none" && parsePin(back).id === subject.name) file.setPins(wave, { now, back: "none" });
}

/**
 * The environment without the subject.
 * @throws {Refusal} no-go when the file would not be sound without it: a pinned release needs the part, the last wave leaves
 */
export function environmentWithout(subject: Subject, file: StackFile): Environment {
  const rest = new StackFile(file.path, file.text());
  takeOut(subject, rest);
  try {
    return parseEnvironment(rest.environment(), file.path);
  } catch (error) {
    if (!(error instanceof FaultReport)) throw error;
    throw new Refusal("no-go", [
      ...error.faults.map(
        ({ path, seen, allowed }) => `without ${subject.name}, ${path} is ${seen}; allowed: ${allowed}`,
      ),
      `nothing was changed; ${file.path} is as it was`,
    ]);
  }
}

/** What a removal deletes beyond the subject: then it is not only the subject that leaves. */
export function deletedElsewhere(subject: Subject, changes: readonly ResourceChange[]): ResourceChange[] {
  const parts = { vault: ["Secrets", "Keeper"], milvus: ["Milvus"] } as const;
  const isOwn = ({ path, name }: ResourceChange): boolean => {
    if (subject.kind === "part") return path.some((type) => parts[subject.name].includes(type as never));
    const type = subject.kind === "wave" ? "Wave" : "Fleet";
    return path.includes(type) && (name === subject.name || name.startsWith(`${subject.name}-`));
  };
  return changes.filter((change) => /delete|replace/.test(change.op) && !isOwn(change));
}

function backReleases(pins: Environment["pins"]): string[] {
  const backs = Object.values(pins).map(({ back }) => back);
  return [...new Set(backs.filter((back) => back !== "none").map((back) => parsePin(back).id))];
}
