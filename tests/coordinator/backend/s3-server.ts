import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePort } from "../../../local/servers/free-port.ts";
import { ensurePython } from "../../../local/toolchain/python.ts";

/** Credentials that the server takes: any. */
export const s3Credentials = { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" };

/** A local server that speaks S3 (moto): Pulumi's own client and ours talk to it over HTTP. */
export class S3Server {
  readonly #process: ChildProcess;
  readonly #port: number;

  private constructor(process: ChildProcess, port: number) {
    this.#process = process;
    this.#port = port;
  }

  static async start(): Promise<S3Server> {
    const python = await ensurePython(join(import.meta.dirname, "s3-requirements.txt"));
    const port = await findFreePort(1);
    // It ends with this process, however that ends.
    const words = ["--pdeathsig", "KILL", "--", python, "-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)];
    const server = new S3Server(spawn("setpriv", words, { stdio: "ignore" }), port);
    for (let tries = 0; tries < 300; tries++) {
      const answer = await fetch(server.#address).catch(() => undefined);
      if (answer !== undefined) return server;
      if (server.#process.exitCode !== null) throw new Error(`moto ended with exit code ${server.#process.exitCode}`);
      await sleep(100);
    }
    await server.stop();
    throw new Error("moto did not answer within 30 s");
  }

  /** Makes a bucket. @returns the backend URL, as Pulumi takes it */
  async makeBucket(name: string): Promise<string> {
    const answer = await fetch(`${this.#address}/${name}`, { method: "PUT" });
    if (!answer.ok) throw new Error(`bucket ${name}: ${answer.status}`);
    return `s3://${name}?region=us-east-1&endpoint=127.0.0.1:${this.#port}&disableSSL=true&s3ForcePathStyle=true`;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill();
    await ended;
  }

  get #address(): string {
    return `http://127.0.0.1:${this.#port}`;
  }
}
