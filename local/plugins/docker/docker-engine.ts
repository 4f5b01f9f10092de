import { request } from "node:http";
import type { IncomingMessage, RequestOptions } from "node:http";

/** Oldest interface with everything used here; served by Docker 20.10 and later. */
const apiVersion = "v1.41";

/** Docker answered, and refused. */
export class DockerError extends Error {
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** The HTTP interface of one Docker Engine; `host` as in DOCKER_HOST, `unix://` or `tcp://`. */
export class DockerEngine {
  readonly #host: string;

  constructor(host: string) {
    this.#host = host;
  }

  /** What is at a path, or undefined when there is nothing (404). */
  async find<Answer>(path: string): Promise<Answer | undefined> {
    try {
      return JSON.parse((await this.#send("GET", path)).toString("utf8")) as Answer;
    } catch (error) {
      if (error instanceof DockerError && error.status === 404) return undefined;
      throw error;
    }
  }

  async post<Answer>(path: string, body?: unknown): Promise<Answer> {
    const answer = await this.#send("POST", path, body);
    return (answer.length === 0 ? undefined : JSON.parse(answer.toString("utf8"))) as Answer;
  }

  /** Removes what is at a path; nothing there, or a removal that is under way, is a success. */
  async remove(path: string): Promise<void> {
    try {
      await this.#send("DELETE", path);
    } catch (error) {
      const isUnderWay =
        error instanceof DockerError && error.status === 409 && error.message.includes("already in progress");
      if (!isUnderWay && !(error instanceof DockerError && error.status === 404)) throw error;
    }
  }

  /** The last lines that a container wrote, both streams in order. */
  async logs(id: string, lines: number): Promise<string> {
    const raw = await this.#send("GET", `/containers/${id}/logs?stdout=1&stderr=1&tail=${lines}`);
    return withoutFrames(raw);
  }

  async #send(method: string, path: string, body?: unknown): Promise<Buffer> {
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const address = this.#host.startsWith("unix://")
      ? { socketPath: this.#host.slice("unix://".length) }
      : { host: new URL(this.#host).hostname, port: new URL(this.#host).port || "2375" };
    const options: RequestOptions = {
      ...address,
      method,
      path: `/${apiVersion}${path}`,
      headers: payload === undefined ? {} : { "Content-Type": "application/json", "Content-Length": payload.length },
    };
    let response: IncomingMessage;
    const chunks: Buffer[] = [];
    try {
      response = await new Promise<IncomingMessage>((resolve, reject) => {
        const outgoing = request(options, resolve);
        outgoing.on("error", reject);
        outgoing.end(payload);
      });
      for await (const chunk of response) chunks.push(chunk as Buffer);
    } catch (error) {
      const reason = (error as Error).message;
      throw new Error(
        `docker ${this.#host} cannot be reached: ${reason}; mend: start the daemon, or correct DOCKER_HOST`,
        {
          cause: error,
        },
      );
    }
    const answer = Buffer.concat(chunks);
    const status = response.statusCode ?? 0;
    if (status >= 400) throw new DockerError(`docker: ${method} ${path.split("?")[0]}: ${reasonOf(answer)}`, status);
    return answer;
  }
}

function reasonOf(answer: Buffer): string {
  const raw = answer.toString("utf8").trim();
  try {
    return (JSON.parse(raw) as { message?: string }).message ?? raw;
  } catch {
    return raw;
  }
}

/** Without a terminal each piece of output has a header: stream, three zeros, length in four bytes. */
function withoutFrames(raw: Buffer): string {
  const pieces: Buffer[] = [];
  for (let at = 0; at < raw.length;) {
    const isFrame = (raw[at] ?? 255) <= 2 && raw[at + 1] === 0 && raw[at + 2] === 0 && raw[at + 3] === 0;
    if (!isFrame) return raw.toString("utf8");
    const length = raw.readUInt32BE(at + 4);
    pieces.push(raw.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(pieces).toString("utf8");
}
