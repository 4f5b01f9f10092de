import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { parse, stringify } from "yaml";
import { repositoryFolder } from "../../local/folders.ts";
import { installPlugins } from "../../local/plugins/install.ts";
import { findFreePort } from "../../local/servers/free-port.ts";
import { removeKubernetes, startKubernetes } from "../../local/servers/kubernetes.ts";
import type { KubernetesArgs } from "../../local/servers/kubernetes.ts";
import { startVault, stopVault } from "../../local/servers/vault.ts";
import type { VaultArgs } from "../../local/servers/vault.ts";
import { ensureKubernetesPlugin } from "../../local/toolchain/kubernetes-plugin.ts";
import { ensureKubernetes } from "../../local/toolchain/kubernetes.ts";
import { tenantDatabase } from "../../migrations/registry/tenant-id.ts";
import { onboardTenants } from "../../migrations/onboarding.ts";
import { getRelease } from "../../releases/catalog.ts";
import { pinOf } from "../../releases/pin.ts";
import { releaseTarget } from "../../releases/target.ts";
import { TemporaryStack } from "../coordinator/temporary-stack.ts";
import { RegionServer } from "../region-server.ts";
import { buildMinutes } from "./cluster-stack.ts";

const regions = ["eu", "us"] as const;
const r1 = pinOf(getRelease("r1"));
const r2 = pinOf(getRelease("r2"));
const tenants = { eu: ["two-acme", "two-delta"], us: ["two-cobalt"] } as const;

/**
 * The program itself with the stack file of staging: two regions, each with a PostgreSQL, a Vault and a control plane of its own.
 * Kubelets are played, so that no service answers; everything else is real.
 */
describe("staging, in two regions", function () {
  this.timeout(900_000);
  let folder: string;
  let stack: TemporaryStack;
  const servers = new Map<string, RegionServer>();
  const vaults: VaultArgs[] = [];
  const clusters: KubernetesArgs[] = [];

  const pin = async (now: string, back: string) => {
    const file = join(stack.program, "Pulumi.staging.yaml");
    const text = await readFile(join(repositoryFolder, "Pulumi.staging.yaml"), "utf8");
    const known = await readFile(file, "utf8").catch(() => "");
    const salt = /^encryptionsalt: .*$/m.exec(known)?.[0] ?? "";
    await writeFile(
      file,
      `${salt}\n${text.replaceAll(/\{ now: r\d@\w+, back: \S+ \}/g, `{ now: ${now}, back: ${back} }`)}`,
    );
  };
  const up = (...words: string[]) => stack.pulumi("up", "--yes", "--skip-preview", "--stack", "staging", ...words);
  const read = async () => {
    const found: Record<string, string> = {};
    for (const region of regions)
      for (const id of tenants[region]) {
        const [row] = await servers
          .get(region)!
          .query<{ pin: string; position: string | null }>(
            tenantDatabase(id),
            "SELECT w.pin, m.position FROM rc.whereabouts AS w LEFT JOIN rc.mirror AS m ON true",
          );
        const [route] = await servers
          .get(region)!
          .query<{ pin: string }>("rc_registry", `SELECT pin FROM registry.route WHERE tenant = '${id}'`);
        found[id] = `${row?.pin} ${row?.position}, routed to ${route?.pin}`;
      }
    return found;
  };
  const all = (state: string) =>
    Object.fromEntries(regions.flatMap((region) => tenants[region].map((id) => [id, state])));

  before(async function () {
    this.timeout(buildMinutes * 60_000);
    await ensureKubernetes();
    const plugin = await ensureKubernetesPlugin();
    folder = await mkdtemp(join(tmpdir(), "rc-staging-"));
    stack = await TemporaryStack.make();
    const kubeconfigs: string[] = [];
    const variables: Record<string, string> = {};
    for (const region of regions) {
      const own = { homeFolder: join(folder, region), dataFolder: join(folder, region, "data"), isTiedToParent: true };
      const cluster = { ...own, region: `staging-${region}`, firstPort: await findFreePort(3) };
      clusters.push(cluster);
      kubeconfigs.push((await startKubernetes(cluster)).kubeconfig);
      const server = await RegionServer.start({ isEmpty: true });
      servers.set(region, server);
      const firstPort = await findFreePort(2);
      const vault = { ...own, port: firstPort, clusterPort: firstPort + 1 };
      vaults.push(vault);
      const { address, rootToken } = await startVault(vault);
      variables[`RC_STAGING_${region.toUpperCase()}_POSTGRES_URL`] = server.url;
      variables[`RC_STAGING_${region.toUpperCase()}_VAULT_ADDR`] = address;
      variables[`RC_STAGING_${region.toUpperCase()}_VAULT_TOKEN`] = rootToken;
    }
    await mkdir(join(folder, "backups"));
    stack.setVariables({
      ...variables,
      PATH: [plugin, stack.variables["PATH"]].join(delimiter),
      RC_STAGING_KUBECONFIG: await merge(kubeconfigs, join(folder, "kubeconfig")),
      RC_STAGING_FLAGS_FILE: join(folder, "flags.json"),
      RC_STAGING_BACKUP_FOLDER: join(folder, "backups"),
      RC_STAGING_GATEWAY_URL: "http://127.0.0.1:9",
      RC_STAGING_METRICS_URL: "http://127.0.0.1:9",
    });
    Object.assign(process.env, variables);
    for (const name of ["components", "releases", "migrations"])
      await symlink(join(repositoryFolder, name), join(stack.program, name));
    await rm(join(stack.program, "index.ts"));
    await symlink(join(repositoryFolder, "index.ts"), join(stack.program, "index.ts"));
    await installPlugins({ env: stack.variables });
    await stack.pulumi("stack", "init", "staging");
    await pin(r1, "none");
  });
  after(async () => {
    for (const cluster of clusters) await removeKubernetes(cluster);
    for (const vault of vaults) await stopVault(vault);
    for (const server of servers.values()) await server.end();
    await stack.remove();
    await rm(folder, { recursive: true, force: true });
  });

  it("begins with R1 in both regions", async () => {
    await up();
    for (const region of regions) {
      const upper = region.toUpperCase();
      const results = await onboardTenants({
        environment: "staging",
        region: {
          name: region,
          postgresUrl: `env:RC_STAGING_${upper}_POSTGRES_URL`,
          vaultAddress: `env:RC_STAGING_${upper}_VAULT_ADDR`,
          vaultToken: `env:RC_STAGING_${upper}_VAULT_TOKEN`,
        },
        release: releaseTarget(getRelease("r1")),
        releaseRoles: ["platform_r1", "platform_r2"],
        tenants: tenants[region].map((id) => ({ id })),
      });
      for (const { status, reason } of results) assert.equal(status, "done", reason);
      for (const id of tenants[region])
        await servers.get(region)!.query(
          tenantDatabase(id),
          `WITH added AS (INSERT INTO prompts (title) SELECT 'p' || n FROM generate_series(1, 50) AS n RETURNING id)
           INSERT INTO prompt_bodies SELECT id, 'body of ' || id FROM added`,
        );
    }
    assert.deepEqual(await read(), all(`${r1} null, routed to ${r1}`));
  });

  it("takes both regions back when a tenant of one cannot flip, and refuses the release until the hold is lifted", async () => {
    const us = servers.get("us")!;
    const database = tenantDatabase("two-cobalt");
    await us.query(
      database,
      `CREATE FUNCTION rc.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no flip today'; END $$;
       CREATE TRIGGER refuse BEFORE UPDATE ON rc.whereabouts FOR EACH ROW EXECUTE FUNCTION rc.refuse()`,
    );
    await pin(r2, r1);
    await assert.rejects(up(), /tenants failed in us, so every region goes back/);
    assert.deepEqual(await read(), all(`${r1} mirroring, routed to ${r1}`));
    await us.query(database, "DROP TRIGGER refuse ON rc.whereabouts; DROP FUNCTION rc.refuse()");
    await assert.rejects(up(), /held since .*cutover failed in us/s);
    const lifted = await stack.coordinator("unhold", "--env", "staging");
    assert.equal(lifted.code, 0, lifted.stderr + lifted.stdout);
  });

  it("promotes all tenants of both regions to R2, and has nothing to do afterwards", async () => {
    await pin(r2, r1);
    await up();
    assert.deepEqual(await read(), all(`${r2} switched, routed to ${r2}`));
    await up("--expect-no-changes");
  });

  it("goes back to R1 in both regions", async () => {
    await pin(r1, r2);
    await up();
    assert.deepEqual(await read(), all(`${r1} mirroring, routed to ${r1}`));
  });
});

/** One kubeconfig with the contexts of several. @returns its path */
async function merge(files: readonly string[], into: string): Promise<string> {
  const parts = await Promise.all(files.map(async (file) => parse(await readFile(file, "utf8")) as Kubeconfig));
  const lists = (["clusters", "users", "contexts"] as const).map((key) => [key, parts.flatMap((part) => part[key])]);
  await writeFile(into, stringify({ apiVersion: "v1", kind: "Config", ...Object.fromEntries(lists) }), { mode: 0o600 });
  return into;
}

type Kubeconfig = Readonly<Record<"clusters" | "users" | "contexts", readonly unknown[]>>;
