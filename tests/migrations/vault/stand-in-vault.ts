import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/** What the server answers to one request: a status with a JSON body, a broken connection, or silence. */
export type Reply = { readonly status: number; readonly body?: object | string } | "reset" | "silence";

/** A server for what a real Vault cannot be made to do on demand: it gives the replies in turn, the last one for ever. */
export class StandInVault implements AsyncDisposable {
  readonly address: string;
  readonly requests: { method: string; path: string; token: string | undefined; body: string }[];
  readonly #close: () => Promise<void>;

  private constructor(address: string, requests: StandInVault["requests"], close: () => Promise<void>) {
    this.address = address;
    this.requests = requests;
    this.#close = close;
  }

  static async start(replies: readonly [Reply, ...Reply[]]): Promise<StandInVault> {
    const requests: StandInVault["requests"] = [];
    const server = createServer(async (request, response) => {
      const reply = replies[Math.min(requests.length, replies.length - 1)] as Reply;
      const token = request.headers["x-vault-token"] as string | undefined;
      const entry = { method: request.method ?? "", path: request.url ?? "", token, body: "" };
      requests.push(entry);
      entry.body = await textOf(request);
      if (reply === "silence") return;
      if (reply === "reset") return void request.socket.resetAndDestroy();
      response.writeHead(reply.status);
      response.end(typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body ?? {}));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const close = () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    return new StandInVault(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, close);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}
