import { once } from "node:events";
import { createServer, connect as dial, type AddressInfo, type Server, type Socket } from "node:net";

/** A statement on its way to the server: how a case names the boundary at which something happens. */
export interface Boundary {
  /** Of the session's application_name, e.g. `/writer$/`. */
  readonly session: RegExp;
  readonly statement: RegExp;
  /** Some statement of the transaction that is open, e.g. the one that makes its COMMIT the one of a chunk. */
  readonly transaction?: RegExp;
  /** How often it has to be met before it counts. @default 1 */
  readonly nth?: number;
}

interface Trap {
  readonly boundary: Boundary;
  left: number;
  /** Called before the server gets the statement; undefined: the server gets it, the client never hears the answer. */
  readonly work: (() => Promise<void>) | undefined;
  /** From the statement on, nothing of its connection arrives anywhere any more. */
  readonly isSwallowing?: true;
  readonly spring: (error?: Error) => void;
}

/**
 * Stands between the engine and PostgreSQL and understands as much of the protocol as it takes to know which statement
 * passes by and when the server has answered it (`ReadyForQuery`, which follows a COMMIT that counts). Plain connections
 * only; COPY, errors and everything else go through untouched.
 */
export class PostgresProxy implements AsyncDisposable {
  /** URL of the server with the proxy's address in it. */
  readonly url: string;
  readonly #server: Server;
  readonly #sessions: ReadonlySet<Session>;
  readonly #traps: Trap[];

  private constructor(server: Server, sessions: ReadonlySet<Session>, traps: Trap[], url: URL) {
    url.hostname = "127.0.0.1";
    url.port = String((server.address() as AddressInfo).port);
    this.url = url.href;
    this.#server = server;
    this.#sessions = sessions;
    this.#traps = traps;
  }

  static async start(serverUrl: string): Promise<PostgresProxy> {
    const url = new URL(serverUrl);
    const place = { host: url.hostname, port: Number(url.port || 5432) };
    const sessions = new Set<Session>();
    const traps: Trap[] = [];
    const server = createServer((client) => {
      const session = new Session(client, dial(place), traps);
      sessions.add(session);
      client.once("close", () => sessions.delete(session));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new PostgresProxy(server, sessions, traps, url);
  }

  /** Drops the answer to a statement that the server has carried out, and with it the connection. @returns when it has */
  loseAnswer(boundary: Boundary): Promise<void> {
    return this.#set(boundary, undefined);
  }

  /** Swallows a statement and all that follows it on its connection, which both ends believe open. @returns when it has */
  swallow(boundary: Boundary): Promise<void> {
    return this.#set(boundary, () => Promise.resolve(), true);
  }

  /** Does something the moment a statement arrives, before the server gets it. @returns when it is done */
  before(boundary: Boundary, work: () => Promise<void>): Promise<void> {
    return this.#set(boundary, work);
  }

  /** Whether a boundary that was asked for has not been met yet. */
  get isWaiting(): boolean {
    return this.#traps.length > 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const session of this.#sessions) session.end();
    await closed;
  }

  #set(boundary: Boundary, work: Trap["work"], isSwallowing = false): Promise<void> {
    const sprung = new Promise<void>((resolve, reject) => {
      const spring = (error?: Error) => (error === undefined ? resolve() : reject(error));
      this.#traps.push({ boundary, left: boundary.nth ?? 1, work, spring, ...(isSwallowing ? { isSwallowing } : {}) });
    });
    sprung.catch(() => {}); // awaited later; until then a failure must not end the process
    return sprung;
  }
}

/** Codes in place of a protocol version: the server answers the first two with one letter, the last with silence. */
const sslRequest = 80_877_103;
const gssRequest = 80_877_104;
const cancelRequest = 80_877_102;

/** One connection. */
class Session {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #traps: Trap[];
  #name = "";
  #isStarted = false;
  #isSwallowed = false;
  #letters = 0;
  #statements: string[] = [];
  #fromClient = Buffer.alloc(0);
  #fromServer = Buffer.alloc(0);
  #handled: Promise<void> = Promise.resolve();
  /** Answers held back since the statement of a trap was sent. */
  #held: { readonly trap: Trap; readonly frames: Buffer[] } | undefined;

  constructor(client: Socket, server: Socket, traps: Trap[]) {
    this.#client = client;
    this.#server = server;
    this.#traps = traps;
    client.setNoDelay(true);
    server.setNoDelay(true);
    for (const socket of [client, server]) socket.on("error", () => this.end());
    client.on("close", () => void this.#handled.then(() => server.end()));
    server.on("close", () => {
      if (!this.#isSwallowed) client.end();
    });
    client.on("data", (bytes) => {
      this.#handled = this.#handled.then(() => this.#take(bytes)).catch(() => this.end());
    });
    server.on("data", (bytes) => this.#answer(bytes));
  }

  end(): void {
    this.#client.destroy();
    this.#server.destroy();
  }

  async #take(bytes: Buffer): Promise<void> {
    this.#fromClient = Buffer.concat([this.#fromClient, bytes]);
    for (;;) {
      const frame = this.#isStarted ? frameOf(this.#fromClient, 1) : frameOf(this.#fromClient, 0);
      if (frame === undefined) return;
      this.#fromClient = this.#fromClient.subarray(frame.length);
      if (this.#isStarted) await this.#meet(frame);
      else this.#start(frame);
      if (!this.#isSwallowed) this.#server.write(frame);
    }
  }

  #start(frame: Buffer): void {
    const code = frame.readInt32BE(4);
    if (code === sslRequest || code === gssRequest) this.#letters += 1;
    else if (code !== cancelRequest) {
      this.#isStarted = true;
      const words = frame.subarray(8).toString().split("\0");
      this.#name = words[words.indexOf("application_name") + 1] ?? "";
    }
  }

  async #meet(frame: Buffer): Promise<void> {
    const statement = statementOf(frame);
    if (statement === undefined) return;
    if (/^BEGIN/.test(statement)) this.#statements = [];
    const open = this.#statements;
    const nth = this.#traps.findIndex(({ boundary }) => isMet(boundary, this.#name, statement, open));
    this.#statements.push(statement);
    const trap = this.#traps[nth];
    if (trap === undefined) return;
    trap.left -= 1;
    if (trap.left > 0) return;
    this.#traps.splice(nth, 1);
    if (trap.isSwallowing) this.#isSwallowed = true;
    if (trap.work === undefined) this.#held = { trap, frames: [] };
    else await trap.work().then(() => trap.spring(), trap.spring);
  }

  #answer(bytes: Buffer): void {
    this.#fromServer = Buffer.concat([this.#fromServer, bytes]);
    for (;;) {
      const frame = this.#letters > 0 ? this.#fromServer.subarray(0, 1) : frameOf(this.#fromServer, 1);
      if (frame === undefined || frame.length === 0) return;
      if (this.#letters > 0) this.#letters -= 1;
      this.#fromServer = this.#fromServer.subarray(frame.length);
      if (this.#isSwallowed) continue;
      if (this.#held === undefined) this.#client.write(frame);
      else this.#hold(this.#held, frame);
    }
  }

  #hold(held: { readonly trap: Trap; readonly frames: Buffer[] }, frame: Buffer): void {
    held.frames.push(frame);
    if (frame[0] !== letter("Z")) return;
    this.#held = undefined;
    if (held.frames.some(([first]) => first === letter("E"))) {
      // Refused: nothing was done, so there is nothing to lose yet.
      this.#traps.push({ ...held.trap, left: 1 });
      this.#client.write(Buffer.concat(held.frames));
      return;
    }
    this.#client.resetAndDestroy();
    this.#server.destroy();
    held.trap.spring();
  }
}

const letter = (text: string): number => text.charCodeAt(0);

/** The first message of the bytes, if all of it is there. @param typeBytes 1 after start-up, 0 before */
function frameOf(bytes: Buffer, typeBytes: number): Buffer | undefined {
  if (bytes.length < typeBytes + 4) return undefined;
  const frameBytes = typeBytes + bytes.readInt32BE(typeBytes);
  return bytes.length < frameBytes ? undefined : bytes.subarray(0, frameBytes);
}

/** SQL of a Query or Parse message. */
function statementOf(frame: Buffer): string | undefined {
  if (frame[0] === letter("Q")) return frame.subarray(5, -1).toString();
  if (frame[0] !== letter("P")) return undefined;
  const from = frame.indexOf(0, 5) + 1;
  return frame.subarray(from, frame.indexOf(0, from)).toString();
}

function isMet(boundary: Boundary, session: string, statement: string, open: readonly string[]): boolean {
  const { transaction } = boundary;
  return (
    boundary.session.test(session) &&
    boundary.statement.test(statement) &&
    (transaction === undefined || open.some((one) => transaction.test(one)))
  );
}
