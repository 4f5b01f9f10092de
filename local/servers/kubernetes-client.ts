import { request } from "node:https";

/** How to speak to one API server. */
export interface KubernetesAccess {
  /** `https://127.0.0.1:<port>` */
  readonly server: string;
  /** PEM of the authority behind its certificate. */
  readonly authority: string | Buffer;
  readonly token: string;
}

/** What the API server answered. */
export interface KubernetesAnswer {
  readonly status: number;
  /** Parsed JSON, or the text when it is none. */
  readonly body: unknown;
}

/** One request; any answer resolves. @param type of the body. @default application/json @throws nobody answers within 20 s */
export function askKubernetes(
  { server, authority, token }: KubernetesAccess,
  method: string,
  path: string,
  body?: object,
  type = "application/json",
): Promise<KubernetesAnswer> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "content-type": type }) };
    const asked = request(
      new URL(path, server),
      { method, ca: authority, agent: false, headers, timeout: 20_000 },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, body: parsed(text) });
        });
      },
    );
    asked.on("timeout", () => asked.destroy(new Error(`${server} did not answer ${method} ${path} within 20 s`)));
    asked.on("error", reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
