import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

/** One update as the stack's history keeps it. */
export interface CloudUpdate {
  /** The object of `release-coordinator:environment`. */
  readonly environment: object;
  readonly message: string;
  readonly result: "succeeded" | "failed";
  readonly gitHead?: string;
}

const token = "pul-0123456789";

/**
 * Pulumi Cloud as its documentation of the REST API describes it (docs/reference/cloud-rest-api: user, stacks, stack updates):
 * as much as the CLI asks to open a stack and to read its history. Anything else is answered with 404 and remembered.
 */
export class PulumiCloud {
  readonly #server: Server;
  /** Newest first. */
  readonly #updates: readonly CloudUpdate[];
  /** Method and path of everything that was asked. */
  readonly asked: string[] = [];

  private constructor(updates: readonly CloudUpdate[]) {
    this.#updates = updates;
    this.#server = createServer((request, response) => {
      const { pathname } = new URL(request.url ?? "/", "http://cloud");
      this.asked.push(`${request.method} ${pathname}`);
      const isKnown = request.headers.authorization === `token ${token}`;
      const answer = isKnown ? this.#answer(request.method ?? "", pathname) : undefined;
      const status = isKnown ? (answer === undefined ? 404 : 200) : 401;
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify(answer ?? { code: status, message: "not found" }));
    });
  }

  static async start(updates: readonly CloudUpdate[]): Promise<PulumiCloud> {
    const cloud = new PulumiCloud(updates);
    await new Promise<void>((resolve) => cloud.#server.listen(0, "127.0.0.1", resolve));
    return cloud;
  }

  /** What a process needs to log in. */
  get variables(): Record<string, string> {
    const { port } = this.#server.address() as AddressInfo;
    return { PULUMI_BACKEND_URL: `http://127.0.0.1:${port}`, PULUMI_ACCESS_TOKEN: token };
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(method: string, path: string): object | undefined {
    if (method !== "GET") return undefined;
    const stack = "/api/stacks/acme/release-coordinator/dev";
    const owner = { githubLogin: "acme", name: "Acme", email: "acme@example.org" };
    const answers: Readonly<Record<string, object>> = {
      "/api/user": { ...owner, organizations: [owner] },
      "/api/user/organizations/default": { GitHubLogin: "acme", messages: [] },
      "/api/capabilities": { capabilities: [] },
      "/api/cli/version": {},
      [stack]: {
        id: "1",
        orgName: "acme",
        projectName: "release-coordinator",
        stackName: "dev",
        activeUpdate: "",
        tags: {},
        version: this.#updates.length,
      },
      [`${stack}/updates`]: { updates: this.#updates.map((update, index) => this.#updateInfo(update, index)) },
    };
    return answers[path];
  }

  #updateInfo({ environment, message, result, gitHead }: CloudUpdate, index: number): object {
    const startTime = 1_800_000_000 - index * 3600;
    return {
      kind: "update",
      startTime,
      endTime: startTime + 60,
      message,
      environment: gitHead === undefined ? {} : { "git.head": gitHead },
      config: {
        "release-coordinator:environment": { string: JSON.stringify(environment), secret: false, object: true },
      },
      result,
      version: this.#updates.length - index,
      resourceChanges: { update: 1 },
    };
  }
}
