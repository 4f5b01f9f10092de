import { resolveReference } from "../../migrations/reference.ts";
import type { Environment } from "../../releases/environment.ts";
import { openRegistry, readFacts } from "../environment-facts.ts";
import type { EnvironmentFacts } from "../environment-facts.ts";
import { connect } from "../../migrations/postgres/connect.ts";
import { fine, missing, toDecide } from "./finding.ts";
import type { Finding } from "./finding.ts";

const subject = "registry";

/** The registry's database, tables and tenants. @returns the facts too: others look where it says that something is */
export async function lookAtRegistry(
  environment: Environment,
): Promise<{ findings: Finding[]; facts: EnvironmentFacts }> {
  const registry = openRegistry(environment, { isReadOnly: true });
  try {
    const facts = await readFacts(environment, registry);
    if (!facts.hasRegistry) return { findings: await lookForDatabase(environment), facts };
    const count = [...facts.waves].map(([wave, tenants]) => `${tenants.length} in ${wave}`).join(", ");
    const tenants = [...facts.waves.values()].flat().length;
    return {
      facts,
      findings: [
        fine(subject, `tables are there; tenants: ${count}`),
        ...(tenants === 0
          ? [
              toDecide(
                subject,
                "no tenant is in a wave",
                "coordinator tenant onboard <ids> --env <env>, or widen a selector",
              ),
            ]
          : []),
        ...facts.onboarding.map(({ id }) =>
          toDecide(subject, `tenant ${id} is half onboarded`, "pulumi up finishes it"),
        ),
        ...facts.unmatched.map(({ id }) =>
          missing(subject, `tenant ${id} falls into no wave`, "add a tag, or a wave with rest: true"),
        ),
        ...facts.holds.map(({ who, why }) =>
          toDecide(subject, `held by ${who}: ${why}`, "coordinator unhold, or wait"),
        ),
      ],
    };
  } finally {
    await registry.close();
  }
}

/** Before the first update: the database must not be there, or it must be rc_migrator's. */
async function lookForDatabase({ regions }: Environment): Promise<Finding[]> {
  const url = resolveReference(regions[0]?.postgres.url ?? "");
  const database = decodeURIComponent(new URL(url).pathname.slice(1)) || "postgres";
  const operator = await connect({ url, database, applicationName: "rc-doctor", isReadOnly: true });
  try {
    const { rows } = await operator.query<{ owner: string }>(
      "SELECT pg_get_userbyid(datdba)::text AS owner FROM pg_database WHERE datname = 'rc_registry'",
    );
    const [found] = rows;
    if (found === undefined) return [fine(subject, "the first update makes the database rc_registry")];
    return found.owner === "rc_migrator"
      ? [fine(subject, "the database is there; the first update makes its tables")]
      : [
          missing(
            subject,
            `database rc_registry belongs to ${found.owner}`,
            "ALTER DATABASE rc_registry OWNER TO rc_migrator",
          ),
        ];
  } finally {
    await operator.end();
  }
}
