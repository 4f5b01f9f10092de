import { setTimeout as sleep } from "node:timers/promises";
import type { MilvusClient } from "@zilliz/milvus2-sdk-node";
import { MilvusError } from "./milvus-error.ts";
import { requireSuccess, tellFault } from "./reply.ts";

/** Where a Milvus is and who asks. */
export interface MilvusAccess {
  /** `host:port`, or `https://host:port` for TLS. */
  readonly address: string;
  readonly username: string;
  readonly password: string;
  /** @default `default` */
  readonly database?: string;
  /** Longest wait for one reply, milliseconds; a client that gave up earlier would not know what was done. @default 60000 */
  readonly replyMs?: number;
  /** For how long passing faults are repeated, milliseconds. @default 30000 */
  readonly patienceMs?: number;
}

/**
 * A connection to one Milvus. Whatever goes wrong - thrown by gRPC, thrown by the SDK, told in a status, or told by a
 * status that is missing - is a `MilvusError`. Passing faults are repeated here and nowhere else: everything this folder
 * asks may be repeated, since rows are named by their keys.
 */
export class MilvusSession {
  readonly address: string;
  readonly database: string;
  readonly #client: MilvusClient;
  readonly #replyMs: number;
  readonly #patienceMs: number;

  private constructor(client: MilvusClient, access: MilvusAccess) {
    this.#client = client;
    this.address = access.address;
    this.database = access.database ?? "default";
    this.#replyMs = access.replyMs ?? 60_000;
    this.#patienceMs = access.patienceMs ?? 30_000;
  }

  /** @throws {MilvusError} */
  static async open(access: MilvusAccess): Promise<MilvusSession> {
    const { address, username, password, database = "default", replyMs = 60_000 } = access;
    // Loaded when it is needed: every worker process would wait for it, also those that never speak to Milvus.
    const sdk = await import("@zilliz/milvus2-sdk-node");
    const client = new sdk.MilvusClient({
      address,
      username,
      password,
      database,
      timeout: replyMs,
      maxRetries: 0,
      logLevel: "error",
      telemetry: { enabled: false },
    });
    const session = new MilvusSession(client, access);
    try {
      await session.ask("the connection", async () => {
        await client.connectPromise;
        return client.listDatabases();
      });
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** A request through the SDK. @param asked what is asked for, as errors call it @throws {MilvusError} */
  async ask<T>(asked: string, work: (client: MilvusClient) => Promise<T>): Promise<T> {
    return this.#repeat(async () => {
      try {
        return requireSuccess(asked, await work(this.#client));
      } catch (error) {
        throw tellFault(asked, this.address, error);
      }
    });
  }

  /** A request in bytes, past the SDK's conversion of every float. @throws {MilvusError} */
  async call(method: "Upsert" | "Query", request: Buffer): Promise<Buffer> {
    try {
      const channel = await this.#client.channelPool.acquire();
      try {
        return await new Promise<Buffer>((resolve, reject) => {
          channel.makeUnaryRequest<Buffer, Buffer>(
            `/milvus.proto.milvus.MilvusService/${method}`,
            (bytes) => bytes,
            (bytes) => bytes,
            request,
            { deadline: new Date(Date.now() + this.#replyMs) },
            (error, reply) => {
              if (error !== null) reject(error);
              else if (reply === undefined)
                reject(new MilvusError("no-status", `Milvus answered ${method} with nothing`));
              else resolve(reply);
            },
          );
        });
      } finally {
        await this.#client.channelPool.release(channel);
      }
    } catch (error) {
      throw tellFault(method, this.address, error);
    }
  }

  /** `call` with the status of its reply held to; repeated on passing faults. @throws {MilvusError} */
  async exchange<T>(method: "Upsert" | "Query", request: Buffer, decode: (reply: Buffer) => T): Promise<T> {
    return this.#repeat(async () => requireSuccess(method, decode(await this.call(method, request))));
  }

  async close(): Promise<void> {
    await this.#client.closeConnection().catch(() => undefined);
  }

  async #repeat<T>(work: () => Promise<T>): Promise<T> {
    const giveUpAt = performance.now() + this.#patienceMs;
    for (let nth = 1; ; nth += 1) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof MilvusError) || !error.isTransient || performance.now() > giveUpAt) throw error;
        await sleep(Math.min(2000, 50 * 2 ** nth) * (0.5 + Math.random() / 2));
      }
    }
  }
}
