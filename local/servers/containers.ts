import { request } from "node:http";
import { findForeignDocker } from "./docker.ts";
import type { DockerArgs } from "./docker.ts";

export interface RemoveContainersArgs extends DockerArgs {
  /** Port of the platform's PostgreSQL: a container that names it in its environment is this platform's. */
  readonly postgresPort: number;
  /** `stop` keeps the container, `remove` does not. */
  readonly how: "stop" | "remove";
}

/**
 * Stops or removes this platform's containers on a daemon that is not the platform's own.
 * @returns how many
 */
export async function removeContainers(args: RemoveContainersArgs): Promise<number> {
  const host = await findForeignDocker(args);
  if (host === undefined) return 0;
  const socket = host.slice("unix://".length);
  const all = (await ask(socket, "GET", "/containers/json?all=1")) as { Id: string; Image: string; State: string }[];
  let count = 0;
  for (const { Id: id, Image: image, State: state } of all) {
    if (!image.startsWith("rc/")) continue;
    const details = (await ask(socket, "GET", `/containers/${id}/json`)) as { Config: { Env: string[] | null } };
    const isOurs = (details.Config.Env ?? []).some((variable) => variable.includes(`:${args.postgresPort}/`));
    if (!isOurs || (args.how === "stop" && state !== "running")) continue;
    if (args.how === "stop") await ask(socket, "POST", `/containers/${id}/stop?t=5`);
    else await ask(socket, "DELETE", `/containers/${id}?force=1`);
    count++;
  }
  return count;
}

/** One call of the engine's HTTP interface; a container that is already gone or stopped is fine. */
function ask(socketPath: string, method: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, timeout: 30_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        const status = response.statusCode ?? 0;
        if (status >= 400 && status !== 404 && status !== 409)
          reject(new Error(`Docker at ${socketPath} answered ${status} to ${method} ${path}: ${text.trim()}`));
        else resolve(text === "" ? undefined : JSON.parse(text));
      });
    });
    call.on("timeout", () => call.destroy(new Error(`Docker at ${socketPath} did not answer ${method} ${path}`)));
    call.on("error", reject);
    call.end();
  });
}
