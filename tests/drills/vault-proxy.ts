import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Which requests: method and path as in `POST transit-drl/encrypt/kek-acme`. */
export type VaultRequest = RegExp;

/** What becomes of a request. `lose`: Vault carries it out, the answer never arrives. */
export type VaultFault =
  | "lose"
  | "reset"
  | "silence"
  | { readonly status: number; readonly body?: object | string }
  | { readonly delayMs: number }
  /** Vault's answer, changed on its way. */
  | { readonly alter: (answer: string) => string }
  /** Done before Vault gets the request. */
  | { readonly before: () => Promise<void> };

interface Trap {
  readonly request: VaultRequest;
  readonly fault: VaultFault;
  left: number;
  isMet: boolean;
  readonly spring: (error?: Error) => void;
}

/** Stands between the engine and Vault: passes requests on, and answers some of them otherwise than Vault would. */
export class VaultProxy implements AsyncDisposable {
  /** Every request so far, e.g. `POST transit-drl/encrypt/kek-acme`. */
  readonly requests: string[] = [];
  readonly #traps: Trap[] = [];
  readonly #server: Server;
  readonly #vaultAddress: string;

  private constructor(vaultAddress: string) {
    this.#vaultAddress = vaultAddress;
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch(() => request.socket.destroy());
    });
  }

  /** `http://127.0.0.1:<port>` */
  get address(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  static async start(vaultAddress: string): Promise<VaultProxy> {
    const proxy = new VaultProxy(vaultAddress);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  /**
   * Lets requests of a kind meet a fault, from the next one on.
   *
   * @param times how many of them. @default 1
   * @returns when the first one has met it
   */
  set(request: VaultRequest, fault: VaultFault, times = 1): Promise<void> {
    const sprung = new Promise<void>((resolve, reject) => {
      const spring = (error?: Error) => (error === undefined ? resolve() : reject(error));
      this.#traps.push({ request, fault, left: times, isMet: false, spring });
    });
    sprung.catch(() => {}); // awaited later; until then a failure must not end the process
    return sprung;
  }

  /** Whether a request that was asked for has not come yet. */
  get isWaiting(): boolean {
    return this.#traps.some((trap) => !trap.isMet);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const name = `${request.method} ${(request.url ?? "").replace(/^\/v1\//, "")}`;
    this.requests.push(name);
    const trap = this.#traps.find((one) => one.request.test(name));
    if (trap !== undefined) {
      trap.isMet = true;
      trap.left -= 1;
      if (trap.left <= 0) this.#traps.splice(this.#traps.indexOf(trap), 1);
    }
    const fault = trap?.fault;
    const pass = () => this.#pass(request, Buffer.concat(parts));
    const send = ({ status, text }: { status: number; text: string }) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(status === 204 ? undefined : text);
    };
    if (fault === undefined) return send(await pass());
    if (fault === "silence") return trap?.spring();
    if (fault === "lose") await pass();
    if (fault === "lose" || fault === "reset") {
      request.socket.resetAndDestroy();
      return trap?.spring();
    }
    if ("status" in fault) {
      const { status, body = { errors: [] } } = fault;
      send({ status, text: typeof body === "string" ? body : JSON.stringify(body) });
      return trap?.spring();
    }
    if ("before" in fault) {
      await fault.before().then(() => trap?.spring(), trap?.spring);
      return send(await pass());
    }
    if ("delayMs" in fault) await sleep(fault.delayMs);
    const answer = await pass();
    send("alter" in fault ? { ...answer, text: fault.alter(answer.text) } : answer);
    trap?.spring();
  }

  async #pass(request: IncomingMessage, body: Buffer): Promise<{ status: number; text: string }> {
    const token = request.headers["x-vault-token"] as string | undefined;
    const answer = await fetch(this.#vaultAddress + (request.url ?? ""), {
      method: request.method ?? "GET",
      headers: { "X-Vault-Request": "true", ...(token === undefined ? {} : { "X-Vault-Token": token }) },
      ...(body.length === 0 ? {} : { body }),
    });
    return { status: answer.status, text: await answer.text() };
  }
}
