import type { Command } from "commander";
import { connect } from "../migrations/postgres/connect.ts";
import { resolveReference } from "../migrations/reference.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { rolloutOf } from "../releases/rollout.ts";
import { fine, looked, missing } from "./doctor/finding.ts";
import type { Finding } from "./doctor/finding.ts";
import { lookAtFleets } from "./doctor/fleets.ts";
import { lookAtPulumi } from "./doctor/pulumi.ts";
import { lookAtRegistry } from "./doctor/registry.ts";
import { lookAtRoles } from "./doctor/roles.ts";
import { lookAtTenantDatabases } from "./doctor/tenant-databases.ts";
import type { LookedDatabase } from "./doctor/tenant-databases.ts";
import { lookAtVault } from "./doctor/vault.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import { worst } from "./outcome.ts";
import type { Report } from "./outcome.ts";
import { openStackFile, projectFolder, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { runCommand } from "./terminal.ts";

interface DoctorOptions extends CommonOptions {
  readonly database?: readonly string[];
}

export function registerDoctor(program: Command, surroundings: Surroundings): void {
  withCommonOptions(
    program.command("doctor").description("read a live platform and say what is missing, each with its mend"),
  )
    .option("--database <names...>", "tenant databases to look at (default: the registry's, else all tenant_*)")
    .addHelpText(
      "after",
      `
Looks at roles, tenant databases, registry, Vault, Docker or clusters, images, fleets, Pulumi's backend and passphrase. Writes
nothing: every database session is read-only. Exit 2 while something is missing, 3 when a person must decide.

Examples:
  coordinator doctor --env staging
  coordinator doctor --env prod --database acme_db borealis_db`,
    )
    .action(async (options: DoctorOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => examine(options, surroundings)));
    });
}

export async function examine(options: DoctorOptions, surroundings: Surroundings): Promise<Report> {
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const workDir = await projectFolder(surroundings.folder);
  const findings: Finding[] = [fine("stack file", `${file.path} is sound`)];
  let facts: EnvironmentFacts | undefined;
  findings.push(
    ...(await looked("registry", "correct the regions' postgres.url, or start the server", async () => {
      const found = await lookAtRegistry(environment);
      facts = found.facts;
      return found.findings;
    })),
  );
  const isFirst = facts?.hasRegistry !== true;
  for (const region of environment.regions) {
    const mend = `correct the region's postgres.url, or start the server`;
    findings.push(
      ...(await looked(`postgres ${region.name}`, mend, () => lookAtServer(environment, region, facts, options))),
      ...(await looked(`vault ${region.name}`, "start or unseal it, or correct address and token", () =>
        lookAtVault(environment, region, isFirst),
      )),
    );
  }
  findings.push(
    ...(await lookAtFleets(environment, file, isFirst)),
    ...(await lookAtPulumi(file, options.env, workDir)),
  );
  const outcome = worst(findings.map((finding) => finding.outcome));
  const text = [summary(findings), ...findings.map(explain)].join("\n");
  return { outcome, text, data: { environment: environment.name, isFirst, findings } };
}

async function lookAtServer(
  environment: Environment,
  region: Environment["regions"][number],
  facts: EnvironmentFacts | undefined,
  options: DoctorOptions,
): Promise<Finding[]> {
  const subject = `postgres ${region.name}`;
  const url = resolveReference(region.postgres.url);
  const database = decodeURIComponent(new URL(url).pathname.slice(1)) || "postgres";
  const releaseRoles = rolloutOf(environment).targets.map(({ role }) => role);
  const operator = await connect({ url, database, applicationName: "rc-doctor", isReadOnly: true });
  try {
    const { rowCount } = await operator.query("SELECT FROM pg_available_extensions WHERE name = 'vector'");
    const { rows } = await operator.query<{ name: string }>(
      "SELECT datname::text AS name FROM pg_database WHERE datname LIKE 'tenant\\_%' ORDER BY 1",
    );
    const databases = databasesToAsk(environment, region.name, facts, rows, options);
    return [
      rowCount === 0
        ? missing(subject, "the server does not offer the extension vector", "install pgvector on the server")
        : fine(subject, "pgvector is available"),
      ...(await lookAtRoles(operator, subject, releaseRoles, facts?.hasRegistry !== true)),
      ...(await lookAtTenantDatabases(url, databases, releaseRoles)),
    ];
  } finally {
    await operator.end();
  }
}

/** The registry knows tenants and what is pinned for them; before it exists the names of the databases have to do. */
function databasesToAsk(
  environment: Environment,
  region: string,
  facts: EnvironmentFacts | undefined,
  found: readonly { readonly name: string }[],
  { database }: DoctorOptions,
): LookedDatabase[] {
  const { waves } = rolloutOf(environment);
  const revisionsOf = (names: readonly string[]) =>
    waves
      .filter(({ name }) => names.includes(name))
      .flatMap(({ target, back }) => [target, ...(back ? [back] : [])])
      .flatMap(({ schema }) => [schema.expandTo, schema.contractTo]);
  const all = [...new Set(revisionsOf(waves.map(({ name }) => name)))];
  if (database !== undefined) return database.map((name) => ({ name, revisions: all }));
  if (facts?.hasRegistry !== true) return found.map(({ name }) => ({ name, revisions: all }));
  return [...facts.waves].flatMap(([wave, tenants]) =>
    tenants
      .filter((tenant) => tenant.region === region)
      .map((tenant) => ({ name: tenant.database, revisions: [...new Set(revisionsOf([wave]))] })),
  );
}

const marks = { go: "ok  ", "no-go": "MISS", "needs-human": "ASK " } as const;

function explain({ subject, outcome, found, mend }: Finding): string {
  return [`${marks[outcome]} ${subject}: ${found}`, ...(mend === undefined ? [] : [`       mend: ${mend}`])].join("\n");
}

function summary(findings: readonly Finding[]): string {
  const count = (outcome: Finding["outcome"]) => findings.filter((finding) => finding.outcome === outcome).length;
  return `${count("no-go")} missing, ${count("needs-human")} to decide, ${count("go")} in order`;
}
