import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../../../local/servers/free-port.ts";
import { milvusPorts } from "../../../local/servers/milvus-configuration.ts";
import { findMilvus, type MilvusArgs, startMilvus, stopMilvus } from "../../../local/servers/milvus.ts";
import type { TestMilvus } from "../../servers.ts";

/** A Milvus that a case may stop and kill; it dies with this process. */
export class OwnMilvus {
  readonly #folder: string;
  readonly #args: MilvusArgs;

  private constructor(folder: string, args: MilvusArgs) {
    this.#folder = folder;
    this.#args = args;
  }

  static async make(): Promise<OwnMilvus> {
    const folder = await mkdtemp(join(tmpdir(), "release-coordinator-milvus-"));
    const place = { homeFolder: join(folder, "home"), dataFolder: join(folder, "data") };
    return new OwnMilvus(folder, { ...place, firstPort: await findFreePort(milvusPorts), isTiedToParent: true });
  }

  /** Starts it if it does not run, and again as a supervisor does: on a busy machine it gives its start up after a kill. */
  async start(): Promise<TestMilvus> {
    for (let nth = 1; ; nth += 1) {
      try {
        const { address, password } = await startMilvus(this.#args);
        return { address, password };
      } catch (error) {
        if (nth === 3) throw error;
      }
    }
  }

  /** As a power cut would. */
  kill(): void {
    const pid = findMilvus(this.#args);
    if (pid === undefined) throw new Error("Milvus does not run");
    process.kill(pid, "SIGKILL");
  }

  /** As an administrator does. */
  async stop(): Promise<void> {
    await stopMilvus(this.#args);
  }

  /** Its own switch against writes; it reads its configuration anew every few seconds. */
  async setWritingDenied(isDenied: boolean): Promise<void> {
    const file = join(this.#args.dataFolder, "milvus", "configs", "milvus.yaml");
    const configuration = JSON.parse(await readFile(file, "utf8")) as Record<string, object>;
    configuration["quotaAndLimits"] = { enabled: true, limitWriting: { forceDeny: isDenied } };
    await writeFile(file, `${JSON.stringify(configuration, undefined, 2)}\n`);
  }

  async end(): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
