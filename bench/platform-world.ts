import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { execa } from "execa";
import { parse, stringify } from "yaml";
import { repositoryFolder } from "../local/folders.ts";
import { getRelease } from "../releases/catalog.ts";
import { pinOf } from "../releases/pin.ts";
import { type EmptyProgram, makeEmptyProgram } from "./empty-program.ts";

/** The tenant that the platform onboards itself; every other one is a copy of its database. */
export const seedTenant = "bench-0";

/**
 * A whole platform of its own - PostgreSQL, Vault, Docker, gateway, images, a Pulumi backend - and beside it an empty
 * program on a backend of its own. It ends with this process, however that ends. Takes minutes to come up.
 */
export class PlatformWorld {
  readonly environment: Readonly<Record<string, string>>;
  readonly #folder: string;
  readonly #rival: EmptyProgram;
  readonly #guard: ChildProcessByStdio<Writable, Readable, null>;

  private constructor(
    folder: string,
    guard: ChildProcessByStdio<Writable, Readable, null>,
    environment: Record<string, string>,
    rival: EmptyProgram,
  ) {
    this.#folder = folder;
    this.#rival = rival;
    this.#guard = guard;
    this.environment = environment;
  }

  static async open(): Promise<PlatformWorld> {
    const folder = await mkdtemp(join(tmpdir(), "release-coordinator-bench-"));
    const guard = spawn(process.execPath, [join(repositoryFolder, "tests/tour/tour-guard.ts"), join(folder, "home")], {
      stdio: ["pipe", "pipe", "inherit"],
      detached: true,
    });
    const lines = createInterface({ input: guard.stdout });
    const environment = await Promise.race([
      once(lines, "line").then(([line]) => JSON.parse(line as string) as Record<string, string>),
      once(guard, "exit").then(([code]) => {
        throw new Error(`the platform did not start (exit code ${String(code)}); the reason stands above`);
      }),
    ]);
    const world = new PlatformWorld(folder, guard, environment, await makeEmptyProgram(environment));
    await world.pin("r1");
    await execa("pulumi", ["stack", "init", "dev", "--non-interactive"], world.#ours());
    return world;
  }

  /** Writes the stack file: one seed tenant, every wave at this release; from r2 on with Vault and a way back. */
  async pin(release: "r1" | "r2"): Promise<void> {
    const text = await readFile(join(repositoryFolder, "Pulumi.dev.yaml"), "utf8");
    const stack = parse(text) as { config: Record<string, Record<string, unknown>> };
    const own = stack.config["release-coordinator:environment"] as Record<string, unknown>;
    const pin = {
      now: pinOf(getRelease(release)),
      back: release === "r1" ? "none" : pinOf(getRelease("r1")),
    };
    own["pins"] = Object.fromEntries(Object.keys(own["pins"] as object).map((wave) => [wave, pin]));
    own["present"] = { vault: release === "r2", milvus: false };
    own["tenants"] = [{ id: seedTenant, tags: [] }];
    await writeFile(this.#stackFile, stringify(stack));
  }

  /** `pulumi preview` or `up` of our program. @returns what it printed and seconds */
  run(command: "preview" | "up"): Promise<{ text: string; seconds: number }> {
    return this.#pulumi([...words(command), "--config-file", this.#stackFile], this.#ours());
  }

  /** The same of the empty program. */
  runEmpty(command: "preview" | "up"): Promise<{ text: string; seconds: number }> {
    return this.#pulumi(words(command), this.#empty());
  }

  /** Bytes of our state as it lies on disk. */
  async stateBytes(): Promise<number> {
    const backend = new URL(this.environment["PULUMI_BACKEND_URL"] ?? "").pathname;
    return (await stat(join(backend, ".pulumi/stacks/release-coordinator/dev.json"))).size;
  }

  async close(): Promise<void> {
    if (this.#guard.exitCode === null) {
      const ended = once(this.#guard, "exit");
      this.#guard.stdin.end();
      await ended;
    }
    await this.#rival.remove();
    await rm(this.#folder, { recursive: true, force: true });
  }

  get #stackFile(): string {
    return join(this.#folder, "Pulumi.dev.yaml");
  }

  #ours(): { cwd: string; env: Record<string, string> } {
    return { cwd: repositoryFolder, env: { ...this.environment } };
  }

  #empty(): { cwd: string; env: Record<string, string> } {
    return { cwd: this.#rival.folder, env: { ...this.environment, ...this.#rival.backend } };
  }

  async #pulumi(
    args: readonly string[],
    place: { cwd: string; env: Record<string, string> },
  ): Promise<{ text: string; seconds: number }> {
    const startMs = performance.now();
    const ran = await execa("pulumi", [...args, "--stack", "dev", "--non-interactive"], {
      ...place,
      stdin: "ignore",
      all: true,
      reject: false,
    });
    const seconds = (performance.now() - startMs) / 1000;
    if (ran.exitCode !== 0) throw new Error(`pulumi ${args[0]} ended with ${ran.exitCode}:\n${ran.all}`);
    return { text: ran.all, seconds };
  }
}

const words = (command: "preview" | "up"): string[] =>
  command === "preview" ? ["preview"] : ["up", "--yes", "--skip-preview"];
