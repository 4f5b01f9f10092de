import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { repositoryFolder } from "../local/folders.ts";
import { findFreePort } from "../local/servers/free-port.ts";
import { r1, r2 } from "../tests/migrations/onboarding-fixture.ts";
import { askVault, ensureMounted } from "../tests/migrations/vault/test-vault.ts";
import { databaseUrl, getPostgresUrl, getVault, roleUrl } from "../tests/servers.ts";

/** Environment of the tenants: that of the tests' onboarding fixture. */
export const environment = "onb";

/** Services that answer the three requests of the contract which a user waits for. */
const services = { prompts: "platform-api", search: "knowledge-rag" } as const;

/** Base URLs by resource, as the service client wants them. */
export interface ServedRelease {
  readonly urls: { readonly prompts: string; readonly conversations: string; readonly search: string };
}

/** How a program that is not a person logs in to Vault. */
export async function vaultVariables(): Promise<Record<string, string>> {
  await ensureMounted("auth/approle", { type: "approle" });
  const mount = `transit-${environment}`;
  await askVault("PUT", "sys/policies/acl/bench", {
    policy: `path "${mount}/*" { capabilities = ["create", "read", "update"] }`,
  });
  await askVault("POST", "auth/approle/role/bench", { token_policies: ["bench"] });
  const role = await askVault("GET", "auth/approle/role/bench/role-id");
  const secret = await askVault("POST", "auth/approle/role/bench/secret-id");
  return {
    VAULT_ADDR: getVault().address,
    VAULT_ROLE_ID: String(role.data["role_id"]),
    VAULT_SECRET_ID: String(secret.data["secret_id"]),
    TRANSIT_MOUNT: mount,
  };
}

/** Programs that die with this process. */
export class Programs {
  readonly #running: ChildProcess[] = [];

  /** Starts a program of the repository by Node and waits until it answers 200 at `/healthz`. @returns its pid and URL */
  async start(file: string, variables: Record<string, string>): Promise<{ pid: number; url: string }> {
    const port = await findFreePort();
    const child = spawn(process.execPath, [join(repositoryFolder, file)], {
      cwd: repositoryFolder,
      env: { PATH: process.env["PATH"] ?? "", ...variables, PORT: String(port) },
      stdio: ["ignore", "ignore", "inherit"],
    });
    this.#running.push(child);
    const url = `http://127.0.0.1:${port}`;
    for (let nth = 0; child.exitCode === null; nth++) {
      const isUp = await fetch(`${url}/healthz`).then(
        (answer) => answer.ok,
        () => false,
      );
      if (isUp) return { pid: child.pid as number, url };
      if (nth > 600) break;
      await sleep(50);
    }
    throw new Error(`${file} did not come up`);
  }

  /** The services of a release, as plain processes. */
  async serve(release: "r1" | "r2"): Promise<ServedRelease> {
    const target = release === "r1" ? r1 : r2;
    const role = release === "r1" ? "platform_r1" : "platform_r2";
    const template = roleUrl(role, databaseUrl("tenant_TENANT")).replace("TENANT", "{tenant}");
    const variables = {
      RELEASE: target.id,
      RELEASE_PIN: target.pin,
      ENVIRONMENT: environment,
      DATABASE_URL: template,
      REGISTRY_URL: roleUrl(role, databaseUrl("rc_registry")),
      ...(release === "r1" ? {} : await vaultVariables()),
    };
    const start = async (service: string): Promise<string> =>
      (await this.start(`tests/workload/${release}/${service}.ts`, { ...variables, SERVICE: service })).url;
    const prompts = await start(services.prompts);
    return { urls: { prompts, conversations: prompts, search: await start(services.search) } };
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#running.splice(0).map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = once(child, "exit");
        child.kill("SIGTERM");
        await ended;
      }),
    );
  }
}

/** URL of this server for the keeper's own login. */
export const keeperUrl = (): string => roleUrl("rc_keeper", getPostgresUrl());
