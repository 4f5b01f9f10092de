import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { LocalWorkspace } from "@pulumi/pulumi/automation/index.js";
import type { Stack } from "@pulumi/pulumi/automation/index.js";
import { parse } from "yaml";
import { outliveCtrlC } from "./ctrl-c.ts";
import { BackendHistory } from "./history/backend-history.ts";
import type { HistoryReading } from "./history/history.ts";
import { StackEvents } from "./stack-events.ts";

/** How a preview or an update ended; `failure` is the engine's own words. */
export interface StackRun {
  readonly events: StackEvents;
  readonly failure: string | undefined;
  /** The engine's error itself, for those who tell a lock from a fault. */
  readonly cause: unknown;
  readonly seconds: number;
}

/** One environment's Pulumi stack, driven through the Automation API with the program in the current checkout. */
export class EnvironmentStack {
  readonly project: string;
  readonly #stack: Stack;
  readonly #progress: (line: string) => void;

  private constructor(project: string, stack: Stack, progress: (line: string) => void) {
    this.project = project;
    this.#stack = stack;
    this.#progress = progress;
  }

  /**
   * @param workDir folder of Pulumi.yaml
   * @throws when the backend knows no such stack, naming the command that makes it
   */
  static async select(
    environment: string,
    workDir: string,
    progress: (line: string) => void,
  ): Promise<EnvironmentStack> {
    const settings = parse(await readFile(join(workDir, "Pulumi.yaml"), "utf8")) as { name: string };
    const stack = await LocalWorkspace.selectStack({ stackName: environment, workDir }).catch((error: Error) => {
      if (/no stack named/.test(error.message))
        throw new Error(
          `stack ${environment} does not exist in this backend; make it: pulumi stack init ${environment}`,
        );
      throw new Error(
        `stack ${environment} cannot be opened in ${backendName()}: ${reasonIn(error)}; ` +
          "correct PULUMI_BACKEND_URL, or bring that backend back",
      );
    });
    return new EnvironmentStack(settings.name, stack, progress);
  }

  get name(): string {
    return this.#stack.name;
  }

  async history(): Promise<HistoryReading> {
    return new BackendHistory(this.#stack, { url: await this.backendUrl(), project: this.project }).read();
  }

  /** Where the state is, with the credentials that stand in it. */
  async backendUrl(): Promise<string> {
    return process.env["PULUMI_BACKEND_URL"] ?? (await this.#stack.workspace.whoAmI()).url ?? "";
  }

  /** Changes nothing, takes no lock. */
  async preview(configFile: string): Promise<StackRun> {
    const events = new StackEvents("preview", this.#progress);
    return timed(events, () => this.#stack.preview({ configFile, onEvent: events.take, color: "never" }));
  }

  /** What a refresh would find changed outside of Pulumi, without running the program. Changes nothing, takes no lock. */
  async previewRefresh(): Promise<StackRun> {
    const events = new StackEvents("update", () => undefined);
    return timed(events, () => this.#stack.previewRefresh({ onEvent: events.take, color: "never" }));
  }

  /** Brings the environment to what the file says. @param message kept in the history for ever */
  async up(configFile: string, message: string): Promise<StackRun> {
    const events = new StackEvents("update", this.#progress);
    const release = outliveCtrlC(this.#progress);
    const update = { configFile, message, onEvent: events.take, color: "never", showSecrets: false } as const;
    return timed(events, () => this.#stack.up(update).catch(unlessOnlyTheSummaryFailed)).finally(release);
  }

  async tag(key: string, value: string): Promise<void> {
    await this.#stack.setTag(key, value);
  }

  /** Removes the lock of an update whose owner is dead. */
  async cancel(): Promise<void> {
    await this.#stack.cancel();
  }
}

/**
 * The Automation API asks for the newest history entry once `pulumi up` has ended well, and fails when any entry is cut off: the
 * update has happened all the same.
 */
function unlessOnlyTheSummaryFailed(error: unknown): undefined {
  if (error instanceof Error && /Command failed[^\n]*: pulumi stack history /.test(error.message)) return undefined;
  throw error;
}

/** The backend without what could be a credential in its URL. */
function backendName(): string {
  const url = process.env["PULUMI_BACKEND_URL"];
  if (url === undefined) return "the backend that pulumi login chose";
  return `the backend ${(url.split("?")[0] ?? "").replace(/\/\/[^/@]+@/, "//")}`;
}

async function timed(events: StackEvents, run: () => Promise<unknown>): Promise<StackRun> {
  const start = performance.now();
  let failure: string | undefined;
  let cause: unknown;
  try {
    await run();
  } catch (error) {
    cause = error;
    failure = events.errors.length > 0 ? [...new Set(events.errors)].join("\n") : reasonIn(error);
  }
  return { events, failure, cause, seconds: (performance.now() - start) / 1000 };
}

/** The lines of the CLI that say what is wrong, without the dump of command, exit code and output. */
function reasonIn(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const from = message.indexOf("error: ");
  return from < 0 ? message : message.slice(from + "error: ".length).trim();
}
