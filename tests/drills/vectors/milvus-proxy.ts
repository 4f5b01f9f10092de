import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";

/** What becomes of a call. `lose`: Milvus carries it out, the answer never arrives. `reset`: neither. */
export type MilvusFault =
  | "lose"
  | "reset"
  /** All connections break, and nobody is there for so long. */
  | { readonly awayMs: number }
  /** The body of a reply that Milvus has never sent. */
  | { readonly answer: Buffer }
  /** Milvus's reply, changed on its way. */
  | { readonly alter: (reply: Buffer) => Buffer }
  /** Done before Milvus gets the call. */
  | { readonly before: () => Promise<void> }
  /** The caller hears nothing more; Milvus gets the call with `release`. */
  | "hold";

interface Trap {
  readonly method: string;
  readonly fault: MilvusFault;
  skip: number;
  left: number;
  isMet: boolean;
  readonly spring: (error?: Error) => void;
}

interface Call {
  readonly method: string;
  readonly headers: http2.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** What Milvus answered: a gRPC message, framed or not there, and the trailers with gRPC's own status. */
interface Reply {
  readonly headers: http2.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: http2.IncomingHttpHeaders;
}

/** Stands between the engine and Milvus: passes calls on, and lets some of them meet a fault. */
export class MilvusProxy implements AsyncDisposable {
  /** Names of all calls so far, e.g. `Upsert`. */
  readonly calls: string[] = [];
  readonly #server: http2.Http2Server;
  readonly #target: string;
  #upstream: http2.ClientHttp2Session | undefined;
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  readonly #traps: Trap[] = [];
  readonly #held: Call[] = [];
  #everybody: string | undefined;
  #awayUntil = 0;

  private constructor(target: string) {
    this.#target = target;
    this.#server = http2.createServer({ settings: { initialWindowSize: 16 * 1024 * 1024 } });
    this.#server.on("session", (session) => {
      session.on("error", () => {});
      if (performance.now() < this.#awayUntil) return session.destroy();
      this.#sessions.add(session);
      session.on("close", () => this.#sessions.delete(session));
    });
    this.#server.on("stream", (stream, headers) => {
      stream.on("error", () => {});
      this.#handle(stream, headers).catch(() => stream.session?.destroy());
    });
  }

  static async start(target: string): Promise<MilvusProxy> {
    const proxy = new MilvusProxy(target);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  /** `127.0.0.1:<port>` */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /**
   * Lets calls of a method meet a fault, from the next one on, or after `skip` of them.
   * @returns when the first one has met it
   */
  set(method: string, fault: MilvusFault, { times = 1, skip = 0 } = {}): Promise<void> {
    const sprung = new Promise<void>((resolve, reject) => {
      const spring = (error?: Error) => (error === undefined ? resolve() : reject(error));
      this.#traps.push({ method, fault, skip, left: times, isMet: false, spring });
    });
    sprung.catch(() => {}); // awaited later; until then a failure must not end the process
    return sprung;
  }

  /** Whether a call that was asked for has not come yet. */
  get isWaiting(): boolean {
    return this.#traps.some((trap) => !trap.isMet);
  }

  /** Sends the calls that were held to Milvus. @returns what it answered each */
  async release(): Promise<readonly Reply[]> {
    return Promise.all(this.#held.splice(0).map((call) => this.#pass(call)));
  }

  /** From now on every call goes to Milvus with these credentials, whatever it came with: as if there were no passwords. */
  letEverybodyIn(username: string, password: string): void {
    this.#everybody = Buffer.from(`${username}:${password}`).toString("base64");
  }

  /** Ends an absence. */
  comeBack(): void {
    this.#awayUntil = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) session.destroy();
    this.#server.close();
    this.#upstream?.destroy();
  }

  async #handle(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of stream) parts.push(part as Buffer);
    const method = String(headers[":path"]).split("/").at(-1) ?? "";
    const call = { method, headers, body: Buffer.concat(parts) };
    this.calls.push(method);
    const trap = isQuestion(call) ? undefined : this.#trapOf(method);
    const fault = trap?.fault;
    if (fault === undefined) return send(stream, await this.#pass(call));
    if (fault === "hold") {
      this.#held.push(call);
      return trap?.spring();
    }
    if (fault === "lose") await this.#pass(call);
    if (fault === "lose" || fault === "reset") {
      stream.session?.destroy();
      return trap?.spring();
    }
    if ("awayMs" in fault) {
      this.#awayUntil = performance.now() + fault.awayMs;
      for (const session of this.#sessions) session.destroy();
      return trap?.spring();
    }
    if ("answer" in fault) {
      send(stream, { headers: {}, body: framed(fault.answer), trailers: { "grpc-status": "0" } });
      return trap?.spring();
    }
    if ("before" in fault) {
      await fault.before().then(() => trap?.spring(), trap?.spring);
      return send(stream, await this.#pass(call));
    }
    const reply = await this.#pass(call);
    send(stream, { ...reply, body: framed(fault.alter(reply.body.subarray(frameBytes))) });
    trap?.spring();
  }

  #trapOf(method: string): Trap | undefined {
    const trap = this.#traps.find((one) => one.method === method);
    if (trap === undefined) return undefined;
    if (trap.skip > 0) {
      trap.skip -= 1;
      return undefined;
    }
    trap.isMet = true;
    trap.left -= 1;
    if (trap.left <= 0) this.#traps.splice(this.#traps.indexOf(trap), 1);
    return trap;
  }

  /** One connection for all; a new one when Milvus has ended it. */
  #connect(): http2.ClientHttp2Session {
    if (this.#upstream !== undefined && !this.#upstream.closed && !this.#upstream.destroyed) return this.#upstream;
    this.#upstream = http2.connect(`http://${this.#target}`, { settings: { initialWindowSize: 16 * 1024 * 1024 } });
    this.#upstream.on("error", () => {}); // each call that was under way tells it by itself
    return this.#upstream;
  }

  async #pass({ headers, body }: Call): Promise<Reply> {
    const passed = Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(":")));
    const stream = this.#connect().request({
      ...passed,
      ...(this.#everybody === undefined ? {} : { authorization: this.#everybody }),
      ":method": "POST",
      ":path": String(headers[":path"]),
    });
    stream.end(body);
    const [answered] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    let trailers: http2.IncomingHttpHeaders = {};
    stream.on("trailers", (found) => (trailers = found));
    const parts: Buffer[] = [];
    for await (const part of stream) parts.push(part as Buffer);
    return { headers: answered, body: Buffer.concat(parts), trailers };
  }
}

/** A run that only asks whether it may: an upsert without rows, a delete and a read of no row. */
function isQuestion({ method, body }: Call): boolean {
  return method === "Upsert" ? !body.includes("vector_version") : body.includes('"/"');
}

/** One byte for "not compressed" and four for the length, before each message of gRPC. */
const frameBytes = 5;

function framed(message: Buffer): Buffer {
  const frame = Buffer.alloc(frameBytes);
  frame.writeUInt32BE(message.length, 1);
  return Buffer.concat([frame, message]);
}

function send(stream: http2.ServerHttp2Stream, { headers, body, trailers }: Reply): void {
  if (stream.destroyed) return;
  const status = headers["grpc-status"] ?? trailers["grpc-status"] ?? "0";
  const message = headers["grpc-message"] ?? trailers["grpc-message"];
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () =>
    stream.sendTrailers({ "grpc-status": status, ...(message === undefined ? {} : { "grpc-message": message }) }),
  );
  stream.end(body);
}

/** For as long as a server is away in a case that waits it out. */
export const briefly = { awayMs: 1500 } as const;
