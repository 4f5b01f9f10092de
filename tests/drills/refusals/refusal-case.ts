import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { RefusalWorld } from "./refusal-world.ts";
import { differences } from "./world-fingerprint.ts";

/** One command that has to be refused. */
export interface Attempt {
  /** `up now` is `pulumi up --skip-preview`: its failed update alone stays in the backend's history. */
  readonly command: "preview" | "up" | "up now" | readonly string[];
  /** Changes of the process's environment; undefined takes a variable away. */
  readonly variables?: Readonly<Record<string, string | undefined>>;
  /** Of `coordinator`: 1 error, 2 no-go, 3 needs a human or time. Pulumi itself only knows that it failed. */
  readonly exitCode?: 1 | 2 | 3;
  /** The thing, the value seen, what is allowed and the mend, as a person reads them. */
  readonly says: readonly RegExp[];
}

/** One refusal: what makes it, who meets it, and how the world is put back. */
export interface RefusalCase {
  readonly title: string;
  /** Release that the environment runs; cases on R1 come first. */
  readonly on: "r1" | "r2";
  arrange?(world: RefusalWorld): Promise<void>;
  readonly attempts: readonly Attempt[];
  /** Undoes `arrange`; the stack file is put back anyway. */
  mend?(world: RefusalWorld): Promise<void>;
  /** Texts that no output may show, beside the world's secrets. */
  readonly secrets?: readonly string[];
  /** Nothing puts this world back: it is made anew afterwards. */
  readonly isLast?: boolean;
}

/** What one case has shown. */
export interface RefusalReport {
  /** True when the world is as it was before the case. */
  readonly isWorldSound: boolean;
  readonly fault: string | undefined;
}

/** Meets each refusal of a case and proves that nothing has changed, neither by the commands nor by the case. */
export async function meetRefusal(one: RefusalCase, world: RefusalWorld): Promise<RefusalReport> {
  const start = await world.fingerprint();
  const stackFile = await world.readStackFile();
  let fault: string | undefined;
  try {
    await one.arrange?.(world);
    for (const attempt of one.attempts) await meet(attempt, one, world);
  } catch (error) {
    fault = (error as Error).message;
  }
  if (one.isLast === true) return { isWorldSound: false, fault };
  try {
    await one.mend?.(world);
    await world.restoreStackFile(stackFile);
    await world.assertUnchanged(start, "the case itself");
    return { isWorldSound: true, fault };
  } catch (error) {
    return { isWorldSound: false, fault: fault ?? (error as Error).message };
  }
}

async function meet(attempt: Attempt, one: RefusalCase, world: RefusalWorld): Promise<void> {
  const { command } = attempt;
  const name = typeof command === "string" ? `pulumi ${command}` : `coordinator ${command.join(" ")}`;
  const kept = join(world.folder, "kept");
  if (command === "up now") await cp(world.backend, kept, { recursive: true, preserveTimestamps: true });
  const before = await world.fingerprint();
  const resources = await world.resources();
  const { exitCode, output } = await runAttempt(attempt, world);
  const about = `${name} (exit code ${exitCode})`;
  if (command === "up now") {
    const other = differences(resources, await world.resources());
    await rm(world.backend, { recursive: true });
    await cp(kept, world.backend, { recursive: true, preserveTimestamps: true });
    await rm(kept, { recursive: true });
    if (other.length > 0)
      throw new Error(`${about} has changed in the state: ${other.join("; ")}; it printed:\n${output}`);
  }
  const changed = differences(before, await world.fingerprint());
  if (changed.length > 0) throw new Error(`${about} has changed: ${changed.join("; ")}; it printed:\n${output}`);
  const isRight = attempt.exitCode === undefined ? exitCode !== 0 : exitCode === attempt.exitCode;
  if (!isRight) throw new Error(`${about} should end with ${attempt.exitCode ?? "a failure"}; it printed:\n${output}`);
  const missing = attempt.says.filter((words) => !words.test(output));
  if (missing.length > 0) throw new Error(`${about} does not say ${missing.join(" nor ")}; it printed:\n${output}`);
  const leaked = [...world.secrets, ...(one.secrets ?? [])].findIndex((secret) => output.includes(secret));
  if (leaked >= 0) throw new Error(`${about} has printed secret ${leaked} of those it must not show`);
}

function runAttempt({ command, variables }: Attempt, world: RefusalWorld) {
  if (typeof command !== "string") return world.run("coordinator", command, variables);
  const words = { preview: ["preview"], up: ["up", "--yes"], "up now": ["up", "--yes", "--skip-preview"] }[command];
  return world.run("pulumi", words, variables);
}
