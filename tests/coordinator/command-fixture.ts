import { readdir, readFile } from "node:fs/promises";
import pg from "pg";
import { findFreePort } from "../../local/servers/free-port.ts";
import { Registry } from "../../migrations/registry/registry.ts";
import { allReleases, getRelease } from "../../releases/catalog.ts";
import { pinOf } from "../../releases/pin.ts";
import { createDatabase, databaseUrl, dropDatabase, getPostgresUrl, getVault } from "../servers.ts";
import { CommandWorld } from "./command-world.ts";
import { TemporaryStack } from "./temporary-stack.ts";
import type { CommandRun } from "./temporary-stack.ts";

export const r1 = pinOf(getRelease("r1"));
export const r2 = pinOf(getRelease("r2"));

/** A sound environment with two waves on R1. */
export const stackText = `# The environment of this test.
config:
  release-coordinator:environment:
    name: dev # comments stay
    runtime: docker
    regions:
      - name: local
        postgres: { kind: external, url: env:RC_POSTGRES_URL }
        vault: { kind: external, address: env:RC_VAULT_ADDR, token: env:RC_VAULT_TOKEN }
    docker: { host: env:DOCKER_HOST, basePort: env:RC_FLEET_BASE_PORT }
    images: env:RC_IMAGES_FILE
    gateway: { url: env:RC_GATEWAY_URL }
    flags: { file: env:RC_FLAGS_FILE }
    present: { vault: false, milvus: false }
    waves:
      - { name: canary, selector: { tags: [canary] } }
      - { name: general, selector: { rest: true } }
    pins:
      canary: { now: ${r1}, back: none } # watched by ana
      general: { now: ${r1}, back: none }
`;

/** Roles that components/database.ts makes beside those of tests/servers.ts: each release of the catalog has one. */
export async function createRolesOfLaterReleases(url: string = getPostgresUrl()): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  for (const { id } of allReleases()) {
    const found = await client.query("SELECT FROM pg_roles WHERE rolname = $1", [`platform_${id}`]);
    if (found.rowCount === 0) await client.query(`CREATE ROLE platform_${id} LOGIN`);
  }
  await client.end();
}

/** One stack `dev` with a real registry and a real Vault, and a world that its waves move. */
export class CommandFixture {
  readonly stack: TemporaryStack;
  readonly registry: Registry;
  readonly world: CommandWorld;

  private constructor(stack: TemporaryStack) {
    this.stack = stack;
    this.registry = new Registry(databaseUrl("rc_registry"));
    this.world = new CommandWorld(this.registry);
  }

  /** @param variables for all runs, e.g. another backend @default the file backend of the temporary stack */
  static async open(variables: Record<string, string> = {}): Promise<CommandFixture> {
    await createDatabase("rc_registry");
    await createRolesOfLaterReleases();
    const fixture = new CommandFixture(await TemporaryStack.make());
    const { stack, world } = fixture;
    const basePort = await findFreePort(100);
    stack.setVariables({
      RC_POSTGRES_URL: getPostgresUrl(),
      RC_VAULT_ADDR: getVault().address,
      RC_VAULT_TOKEN: getVault().token,
      RC_FLEET_BASE_PORT: String(basePort),
      RC_TEST_WORLD: await world.start(),
      RC_OPERATOR: "ana",
      ...variables,
    });
    for (const offset of [1, 2, 3, 4]) {
      await world.serve(basePort + offset, r1);
      await world.serve(basePort + 20 + offset, r2);
    }
    Object.assign(world.members, { canary: ["cmd-acme"], general: ["cmd-cobalt"] });
    await stack.writeStackFile(stackText);
    await stack.pulumi("stack", "init", "dev");
    // `stack init` adds its salt and prints the rest anew: the salt stays, the rest is put back as people write it.
    const salt = /^encryptionsalt: .*$/m.exec(await fixture.fileText())?.[0] ?? "";
    await stack.writeStackFile(`${salt}\n${stackText}`);
    return fixture;
  }

  /** A command with `--env dev`. */
  dev(command: string, ...rest: string[]): Promise<CommandRun> {
    return this.stack.coordinator(command, ...rest, "--env", "dev");
  }

  fileText(): Promise<string> {
    return readFile(this.stack.stackFile, "utf8");
  }

  /** Updates that the stack's history knows. */
  async updates(): Promise<number> {
    return (await readdir(this.stack.historyFolder)).filter((name) => name.endsWith(".history.json")).length;
  }

  async close(): Promise<void> {
    await this.registry.close();
    await this.world.stop();
    await this.stack.remove();
    for (const id of Object.values(this.world.members).flat()) await dropDatabase(`tenant_${id.replaceAll("-", "_")}`);
    await dropDatabase("rc_registry");
  }
}
