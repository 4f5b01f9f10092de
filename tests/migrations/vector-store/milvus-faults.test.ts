import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../../../local/servers/free-port.ts";
import { milvusPorts } from "../../../local/servers/milvus-configuration.ts";
import { findMilvus, type MilvusArgs, startMilvus, stopMilvus } from "../../../local/servers/milvus.ts";
import { loadCollection } from "../../../migrations/milvus/collection.ts";
import { MilvusSession } from "../../../migrations/milvus/session.ts";
import { TenantVectors } from "../../../migrations/milvus/vectors.ts";
import { cutoverTenant, prepareTenant } from "../../../migrations/mirror/engine.ts";
import {
  createVectorTenant,
  digestOf,
  done,
  newIds,
  onMilvus,
  onPgvector,
  readSource,
  type Vectors,
  type VectorTenant,
  writeSource,
} from "./vector-fixture.ts";

/** Stands between the engine and Milvus; breaks the first connections after a request has gone through, before its reply. */
async function startLossyProxy(
  target: string,
  losses: number,
): Promise<{ address: string; lost(): number; stop(): void }> {
  const [host, port] = target.split(":") as [string, string];
  let lost = 0;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(port), host);
    sockets.add(client).add(upstream);
    let sent = 0;
    let isDeaf = false;
    client.on("data", (bytes) => {
      upstream.write(bytes);
      sent += bytes.length;
      // Only an upsert is as large: all of it goes to Milvus, nothing comes back.
      if (sent > 60_000 && lost < losses && !isDeaf) {
        isDeaf = true;
        lost += 1;
        setTimeout(() => [client, upstream].forEach((socket) => socket.destroy()), 400);
      }
    });
    upstream.on("data", (bytes) => isDeaf || client.write(bytes));
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    lost: () => lost,
    stop: () => {
      server.close();
      sockets.forEach((socket) => socket.destroy());
    },
  };
}

describe("a copy of vectors whose Milvus fails", function () {
  this.timeout(300_000);
  let folder: string;
  let args: MilvusArgs;
  let tenant: VectorTenant;
  let expected: Vectors;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rc-milvus-"));
    const firstPort = await findFreePort(milvusPorts);
    args = { homeFolder: join(folder, "home"), dataFolder: join(folder, "data"), firstPort, isTiedToParent: true };
  });
  beforeEach(async () => {
    expected = new Map();
    tenant = await createVectorTenant();
    const { address, password } = await startMilvus(args);
    process.env["MIR_MILVUS_ADDR"] = address;
    process.env["MIR_MILVUS_PASSWORD"] = password;
  });
  afterEach(() => tenant.close());
  after(async () => {
    await stopMilvus(args);
    await rm(folder, { recursive: true, force: true });
  });

  async function readOwn(): Promise<string> {
    const { address, password } = await startMilvus(args);
    const session = await MilvusSession.open({ address, username: "root", password });
    try {
      await loadCollection(session, tenant.spec.name);
      const vectors = new TenantVectors(session, tenant.spec, tenant.tenant);
      const { keys, vectors: bytes } = await vectors.read({ lower: null, upper: null });
      const size = vectors.vectorBytes;
      return digestOf(
        new Map(keys.map((key, nth) => [key, Buffer.from(bytes.subarray(nth * size, (nth + 1) * size))])),
      );
    } finally {
      await session.close();
    }
  }

  it("goes on after Milvus was killed: what it had acknowledged and not flushed is there, bit by bit", async () => {
    await writeSource(tenant.admin, expected, newIds(4000));
    done(await prepareTenant(tenant.job(onMilvus)));
    process.kill(findMilvus(args) as number, "SIGKILL");
    const [changed] = [...expected.keys()] as [string];
    await writeSource(await tenant.as("platform_r1"), expected, [changed, ...newIds(10)]);
    const [result] = await Promise.all([cutoverTenant(tenant.job(onMilvus)), startMilvus(args)]);
    // It came back while the run still asked, or the next one goes on.
    if (result.status !== "done") done(await cutoverTenant(tenant.job(onMilvus)));
    assert.equal(await readOwn(), digestOf(expected));
    done(await cutoverTenant(tenant.job(onPgvector)));
    assert.equal(digestOf(await readSource(tenant)), digestOf(expected));
  });

  it("loses no row and doubles none when the replies to its upserts are lost", async () => {
    await writeSource(tenant.admin, expected, newIds(3000));
    const proxy = await startLossyProxy(process.env["MIR_MILVUS_ADDR"] as string, 3);
    try {
      process.env["MIR_MILVUS_ADDR"] = proxy.address;
      done(await prepareTenant(tenant.job(onMilvus)));
      done(await cutoverTenant(tenant.job(onMilvus)));
    } finally {
      proxy.stop();
    }
    assert.equal(proxy.lost(), 3);
    assert.equal(await readOwn(), digestOf(expected));
  });
});
