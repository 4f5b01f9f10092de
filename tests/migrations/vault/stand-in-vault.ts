import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What the server answers to one request: a status with a JSON body, a broken connection, or silence. */
export type Reply = { readonly status: number; readonly body?: object | string } | "reset" | "silence";

export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly token: string | undefined;
  readonly body: string;
}

/** A server for what a real Vault cannot be made to do on demand. */
export class StandInVault implements AsyncDisposable {
  readonly address: string;
  readonly requests: readonly ReceivedRequest[];
  readonly #server: Server;

  private constructor(server: Server, requests: readonly ReceivedRequest[]) {
    this.address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.requests = requests;
    this.#server = server;
  }

  /** @param replies given in turn, the last one for ever; or what each request gets */
  static async start(replies: readonly Reply[] | ((request: ReceivedRequest) => Reply)): Promise<StandInVault> {
    const requests: ReceivedRequest[] = [];
    const answer = async (message: IncomingMessage, response: ServerResponse) => {
      const token = message.headers["x-vault-token"] as string | undefined;
      const request = { method: message.method ?? "", path: message.url ?? "", token, body: await textOf(message) };
      requests.push(request);
      const inTurn = typeof replies === "function" ? replies(request) : replies[requests.length - 1];
      const reply = inTurn ?? (replies as readonly Reply[]).at(-1);
      if (reply === undefined || reply === "silence") return;
      if (reply === "reset") return void message.socket.resetAndDestroy();
      response.writeHead(reply.status);
      response.end(typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body ?? {}));
    };
    const server = createServer((message, response) => void answer(message, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new StandInVault(server, requests);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}
