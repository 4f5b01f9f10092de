import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { MilvusClient } from "@zilliz/milvus2-sdk-node";
import { findFreePort } from "../../../local/servers/free-port.ts";
import { milvusPorts } from "../../../local/servers/milvus-configuration.ts";
import { findMilvus, startMilvus, stopMilvus } from "../../../local/servers/milvus.ts";
import type { MilvusArgs, RunningMilvus } from "../../../local/servers/milvus.ts";
import { ensureMilvus } from "../../../local/toolchain/milvus.ts";
import { isRunning } from "../../../local/servers/server-process.ts";

describe("the embedded Milvus", function () {
  this.timeout(180_000);
  let folder: string;
  let args: MilvusArgs;
  before(async function () {
    this.timeout(900_000); // fetched the first time
    await ensureMilvus();
    folder = await mkdtemp(join(tmpdir(), "rc-milvus-"));
    args = {
      homeFolder: join(folder, "home"),
      dataFolder: join(folder, "data"),
      firstPort: await findFreePort(milvusPorts),
      isTiedToParent: true,
    };
  });
  after(async () => {
    await stopMilvus(args);
    await rm(folder, { recursive: true, force: true });
  });

  async function asking<T>(
    { address, password }: Pick<RunningMilvus, "address" | "password">,
    work: (client: MilvusClient) => Promise<T>,
  ): Promise<T> {
    const client = new MilvusClient({ address, username: "root", password, timeout: 10_000, maxRetries: 0 });
    try {
      await client.connectPromise;
      return await work(client);
    } finally {
      await client.closeConnection();
    }
  }

  it("starts with a password of its own, is adopted while it runs, and keeps its databases over a restart", async () => {
    const first = await startMilvus(args);
    assert.deepEqual([first.isAdopted, findMilvus(args)], [false, first.pid]);
    assert.equal((await stat(join(args.homeFolder, "secrets", "milvus"))).mode & 0o777, 0o600);
    for (const password of ["Milvus", "wrong"])
      await assert.rejects(
        asking({ ...first, password }, (client) => client.listDatabases()),
        /unauthenticated/i,
      );
    await asking(first, async (client) => {
      const made = await client.createDatabase({ db_name: "kept" });
      assert.equal(made.error_code, "Success");
    });

    const again = await startMilvus(args);
    assert.deepEqual([again.isAdopted, again.pid, again.password], [true, first.pid, first.password]);
    assert.equal(await stopMilvus(args), true);
    assert.equal(findMilvus(args), undefined);

    const second = await startMilvus(args);
    assert.deepEqual([second.isAdopted, second.password], [false, first.password]);
    const { db_names: names } = await asking(second, (client) => client.listDatabases());
    assert.deepEqual([...names].sort(), ["default", "kept"]);
    await stopMilvus(args);
  });

  it("dies with the process that it is tied to, even when that one is killed", async () => {
    const module = join(import.meta.dirname, "../../../local/servers/milvus.ts");
    const script = `const { startMilvus } = await import(${JSON.stringify(module)});
      console.log((await startMilvus(${JSON.stringify(args)})).pid); setInterval(() => {}, 1000)`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(createInterface({ input: parent.stdout }), "line")) as [string];
    const mark = join(args.dataFolder, "milvus");
    assert.equal(isRunning(Number(line), mark), true);
    parent.kill("SIGKILL");
    await once(parent, "exit");
    while (isRunning(Number(line), mark)) await new Promise((resolve) => setTimeout(resolve, 20));
  });
});
