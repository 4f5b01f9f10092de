import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { repositoryFolder } from "../../local/folders.ts";
import { installPlugins } from "../../local/plugins/install.ts";
import { databaseUrl, getVault } from "../servers.ts";
import { CommandFixture, stackText } from "./command-fixture.ts";

/** The parts of the real program that decommission takes apart: Secrets on a real Vault, and the waves' real nodes. */
const program = `
import * as pulumi from "@pulumi/pulumi";
import { Secrets } from "./components/secrets.ts";
import { Wave } from "./components/wave.ts";
import { parseEnvironment } from "./releases/environment.ts";
import { rolloutOf } from "./releases/rollout.ts";
const environment = parseEnvironment(new pulumi.Config("release-coordinator").requireObject("environment"));
const rollout = rolloutOf(environment);
if (environment.present.vault)
  new Secrets("local", {
    environment: environment.name, address: process.env.RC_VAULT_ADDR, token: process.env.RC_VAULT_TOKEN,
    releases: ["r2"], isLeaving: environment.leaving.includes("vault"),
  });
const regions = [{ name: "local", postgresUrl: "env:RC_POSTGRES_URL" }];
const waves = rollout.waves.map(({ name, selector }) => ({ name, selector }));
for (const { name, target, back, finalize } of rollout.waves)
  new Wave(name, {
    environment: environment.name, wave: name, waves, regions, release: target, ...(back ? { back } : {}),
    releaseRoles: rollout.targets.map(({ role }) => role), deadlineSeconds: 60, concurrency: 1,
    prepareAfter: [], cutoverAfter: [], isLeaving: environment.leaving.includes(name),
  }).finalize(finalize, []);
if (process.env.RC_TEST_STRAY) new Secrets("stray", { environment: "stray", address: process.env.RC_VAULT_ADDR, token: process.env.RC_VAULT_TOKEN, releases: [] });
`;

/** What an update could change, read three ways: to say that a refusal changed nothing. */
export interface World {
  readonly file: string;
  readonly state: string;
  readonly mounts: readonly string[];
  readonly keysets: number;
  readonly tenants: readonly string[];
}

/** A stack whose parts are real: Vault's mount, the migration nodes, tenants with ledgers. */
export class DecommissionFixture {
  readonly commands: CommandFixture;

  private constructor(commands: CommandFixture) {
    this.commands = commands;
  }

  static async open(): Promise<DecommissionFixture> {
    const commands = await CommandFixture.open();
    const fixture = new DecommissionFixture(commands);
    const { stack } = commands;
    for (const folder of ["components", "releases", "migrations"])
      await symlink(join(repositoryFolder, folder), join(stack.program, folder));
    await writeFile(join(stack.program, "index.ts"), program);
    await installPlugins({ env: stack.variables });
    return fixture;
  }

  /** Writes the stack file of the fixture with a wave more and with Vault. */
  async writeStackFile(change: (text: string) => string = (text) => text): Promise<void> {
    const salt = /^encryptionsalt: .*$/m.exec(await this.commands.fileText())?.[0] ?? "";
    const text = stackText
      .replace("vault: false", "vault: true")
      .replace(
        "      - { name: general",
        "      - { name: early, selector: { tags: [early] } } # invited\n      - { name: general",
      )
      .replace("      general: {", "      early: { now: PIN, back: none }\n      general: {")
      .replace("PIN", /now: (r1@\w+)/.exec(stackText)?.[1] ?? "");
    await this.commands.stack.writeStackFile(`${salt}\n${change(text)}`);
  }

  /** Statements on a tenant's database, as its owner's superuser. */
  async tenant<Row extends pg.QueryResultRow>(database: string, text: string): Promise<Row[]> {
    const client = new pg.Client({ connectionString: databaseUrl(database) });
    await client.connect();
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await client.end();
    }
  }

  async mounts(): Promise<string[]> {
    const { address, token } = getVault();
    const answer = await fetch(new URL("/v1/sys/mounts", address), { headers: { "X-Vault-Token": token } });
    return Object.keys(((await answer.json()) as { data: object }).data).sort();
  }

  /** Names of the resources in state, those under protection with a star. */
  async resources(): Promise<string[]> {
    const state = JSON.parse(await this.stateText()) as {
      checkpoint: { latest: { resources?: { urn: string; protect?: boolean }[] } };
    };
    return (state.checkpoint.latest.resources ?? []).map(
      ({ urn, protect }) => `${urn.split("::").at(-1)}${protect === true ? "*" : ""}`,
    );
  }

  async world(databases: readonly string[]): Promise<World> {
    const counts = await Promise.all(
      databases.map((name) => this.tenant<{ count: string }>(name, "SELECT count(*) FROM rc.keyset")),
    );
    const names = await this.tenant<{ datname: string }>(
      "postgres",
      "SELECT datname FROM pg_database WHERE datname LIKE 'tenant%' ORDER BY 1",
    );
    return {
      file: await this.commands.fileText(),
      state: await this.stateText(),
      mounts: await this.mounts(),
      keysets: counts.reduce((sum, rows) => sum + Number(rows[0]?.count), 0),
      tenants: names.map(({ datname }) => datname),
    };
  }

  stateText(): Promise<string> {
    const { folder } = this.commands.stack;
    return readFile(join(folder, "backend", ".pulumi", "stacks", "release-coordinator", "dev.json"), "utf8");
  }

  async close(): Promise<void> {
    const { address, token } = getVault();
    const headers = { "X-Vault-Token": token };
    for (const path of ["mounts/transit-dev", "auth/approle", "audit/release-coordinator"])
      await fetch(new URL(`/v1/sys/${path}`, address), { method: "DELETE", headers });
    await this.commands.close();
  }
}
