import pg from "pg";
import { columnsOf } from "../migrations/mirror/definition.ts";
import { getMirror } from "../migrations/mirrors.ts";
import { resolveReference } from "../migrations/reference.ts";
import { databaseUrl } from "../migrations/schema/database-url.ts";
import type { Environment } from "../releases/environment.ts";
import type { Release } from "../releases/release.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";

/** What looking at one blocker found. */
export interface BlockerFinding {
  readonly id: string;
  readonly isCleared: boolean;
  readonly found: string;
}

type Look = (environment: Environment, to: Release, facts: EnvironmentFacts) => Promise<Omit<BlockerFinding, "id">>;

/** How to look at a blocker; one that is not here stays "nobody looked", which needs a human. */
const looks: Readonly<Record<string, Look>> = {
  "vault-healthy": (environment) => lookAtVault(environment),
  "prompts-in-database": (environment, to, facts) => lookForPayloads(environment, to, facts),
};

/** Looks at every blocker of a release that can be looked at by machine. Reads only. */
export async function lookAtBlockers(
  environment: Environment,
  to: Release,
  facts: EnvironmentFacts,
): Promise<BlockerFinding[]> {
  const known = to.requires.blockers.filter(({ id, state }) => state === "checked" && id in looks);
  return Promise.all(known.map(async ({ id }) => ({ id, ...(await (looks[id] as Look)(environment, to, facts)) })));
}

/** Every region's Vault is initialised, unsealed and active. */
async function lookAtVault({ regions }: Environment): Promise<Omit<BlockerFinding, "id">> {
  const found: string[] = [];
  let isCleared = true;
  for (const { name, vault } of regions) {
    const answer =
      vault === undefined ? "not named in the stack file" : await vaultHealth(resolveReference(vault.address));
    isCleared &&= answer === "active";
    found.push(`Vault of region ${name}: ${answer}`);
  }
  return { isCleared, found: found.join("; ") };
}

async function vaultHealth(address: string): Promise<string> {
  try {
    const { status } = await fetch(new URL("/v1/sys/health", address), { signal: AbortSignal.timeout(5000) });
    const meanings: Record<number, string> = { 200: "active", 429: "standby", 501: "not initialised", 503: "sealed" };
    return meanings[status] ?? `status ${status}`;
  } catch (error) {
    return `no answer from ${address} (${error instanceof Error ? error.message : String(error)})`;
  }
}

/** Every parent row has its payload row: nothing lives only outside of the database. Counted in each tenant's own database. */
async function lookForPayloads(
  environment: Environment,
  to: Release,
  facts: EnvironmentFacts,
): Promise<Omit<BlockerFinding, "id">> {
  const servers = new Map(environment.regions.map(({ name, postgres }) => [name, postgres.url]));
  const tenants = [...facts.waves.values()].flat();
  let missing = 0;
  const incomplete: string[] = [];
  for (const { id, region, database, states } of tenants) {
    const url = servers.get(region);
    if (url === undefined) continue;
    const moved = new Set(
      states.filter(({ position }) => position === "switched" || position === "retired").map(({ mirror }) => mirror),
    );
    const mirrors = to.data.map(({ mirror }) => mirror).filter((mirror) => !moved.has(mirror));
    const count =
      mirrors.length === 0 ? 0 : await countMissing(databaseUrl(resolveReference(url), database, reader), mirrors);
    missing += count;
    if (count > 0) incomplete.push(`${id} (${count})`);
  }
  if (missing === 0) return { isCleared: true, found: `every row of ${tenants.length} tenants is in the database` };
  return {
    isCleared: false,
    found: `${missing} rows have no payload in the database: ${incomplete.slice(0, 10).join(", ")}`,
  };
}

const reader = { role: "rc_reader", isReadOnly: true } as const;

async function countMissing(url: string, mirrors: readonly string[]): Promise<number> {
  const client = new pg.Client({ connectionString: url, application_name: "rc-coordinator" });
  await client.connect();
  try {
    let sum = 0;
    for (const pair of mirrors.flatMap((mirror) => getMirror(mirror).pairs)) {
      if (pair.parent === undefined || pair.parentKey === undefined) continue;
      const columns = (table: string, key: string | readonly string[]) =>
        columnsOf(key).map((column) => `${table}.${pg.escapeIdentifier(column)}`);
      const { rows } = await client.query<{ count: string }>(
        `SELECT count(*) FROM ${pg.escapeIdentifier(pair.parent)} AS parent WHERE NOT EXISTS
           (SELECT FROM ${pg.escapeIdentifier(pair.source)} AS payload
            WHERE (${columns("payload", pair.key).join()}) = (${columns("parent", pair.parentKey).join()}))`,
      );
      sum += Number(rows[0]?.count ?? 0);
    }
    return sum;
  } finally {
    await client.end();
  }
}
