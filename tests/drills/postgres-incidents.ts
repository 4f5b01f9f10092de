import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { databaseUrl } from "../servers.ts";
import type { DrillTenant } from "./drill-tenant.ts";
import { engineBoundaries } from "./engine-boundaries.ts";
import type { Incident, PhaseName, Scene } from "./incident.ts";

const gone = /^tenant \S+: PostgreSQL at 127\.0\.0\.1:\d+: .*the connection broke or was refused.*run the update again/;

/** PostgreSQL stops, sessions end, tables are locked. */
export const postgresIncidents: readonly Incident[] = [
  ...(["prepare", "cutover", "rollback", "rebuild"] as const).map((phase) => stopped("immediate", [phase])),
  stopped("fast", ["prepare", "cutover", "rollback", "rebuild"]),
  {
    title: "PostgreSQL is down when the run begins",
    expected: gone,
    async strike({ servers, tenant }) {
      await servers.stopPostgres("fast");
      return () => restart(servers, tenant);
    },
  },
  ended("writer", ["prepare", "rebuild"], ["chunk"]),
  ended("control", ["prepare", "rebuild"], ["chunk", "verified"]),
  {
    // Nothing is left to do but to say where the tenant stands, which another session can ask.
    title: "the engine's control session is terminated when the last commit is on its way",
    phases: ["prepare", "rebuild"],
    expected: "finishes by itself",
    async strike({ postgres, tenant, strikes }) {
      strikes(postgres.before(engineBoundaries.position, () => end(tenant, "rc-mirror % control")));
    },
  },
  {
    // Nobody closes anything, so that only the end of its time ends the run.
    title: "a network swallows a statement and all that follows on its connection",
    phases: ["prepare", "rebuild"],
    expected: /time was over \d+ s ago and its PostgreSQL is at work for none of its sessions.*the next run goes on/,
    isOfOneTenant: true,
    runSeconds: 20,
    async strike({ postgres, random, strikes }) {
      strikes(postgres.swallow(engineBoundaries[random.pick(["chunk", "verified", "position"] as const)]));
    },
  },
  {
    title: "the session of the cutover is terminated",
    phases: ["cutover", "rollback"],
    expected: "finishes by itself",
    async strike({ postgres, tenant, strikes, random }) {
      const at = random.pick(["cutoverLock", "cutoverFlip", "cutover"] as const);
      strikes(postgres.before(engineBoundaries[at], () => end(tenant, "rc-mirror % cutover")));
    },
  },
  {
    title: "all sessions of users are terminated",
    expected: "finishes by itself",
    async strike({ postgres, moment, tenant, strikes }) {
      strikes(postgres.before(moment, () => end(tenant, "drill writer %")));
    },
  },
  {
    title: "a table is locked for longer than one try of the cutover waits",
    phases: ["cutover", "rollback"],
    expected: "finishes by itself",
    async strike({ postgres, tenant, phase, strikes }) {
      strikes(
        postgres.before(engineBoundaries.cutoverLock, async () => {
          const free = await lock(tenant, phase === "cutover" ? "prompt_bodies" : "prompt_bodies_sealed", "SHARE");
          void sleep(600).then(free);
        }),
      );
    },
  },
  {
    title: "a table stays locked through all tries of the cutover",
    phases: ["cutover", "rollback"],
    // Users whom the lock keeps waiting hold rows that a drain needs: it may be the drain that gives up.
    expected:
      /in the way: pid \d+ \(a stranger, idle in transaction.*run the update again|^tenant \S+: PostgreSQL at .*lock timeout.*open longest in pg_stat_activity/,
    isOfOneTenant: true,
    async strike({ tenant, phase }) {
      return lock(tenant, phase === "cutover" ? "prompt_bodies" : "prompt_bodies_sealed", "SHARE");
    },
  },
  {
    title: "a reader keeps a table that capture or retirement needs for itself, for a while",
    phases: ["prepare", "rebuild"],
    expected: "finishes by itself",
    async strike({ tenant, phase }) {
      const free = await lock(tenant, phase === "prepare" ? "prompt_bodies_sealed" : "prompt_bodies", "ACCESS SHARE");
      const freed = sleep(1_500).then(free);
      return () => freed;
    },
  },
];

function stopped(mode: "immediate" | "fast", names: readonly PhaseName[]): Incident {
  const where = names.length === 1 ? ` during ${names[0]}` : "";
  return {
    title: `PostgreSQL is stopped, ${mode}${where}`,
    phases: names,
    expected: gone,
    async strike({ servers, tenant, postgres, moment, strikes }) {
      strikes(postgres.before(moment, () => servers.stopPostgres(mode)));
      return () => restart(servers, tenant);
    },
  };
}

function ended(
  part: "writer" | "control",
  names: readonly PhaseName[],
  places: readonly ("chunk" | "verified")[],
): Incident {
  return {
    title: `the engine's ${part} session is terminated`,
    phases: names,
    expected: gone,
    async strike({ postgres, tenant, strikes, random }) {
      strikes(postgres.before(engineBoundaries[random.pick(places)], () => end(tenant, `rc-mirror % ${part}`)));
    },
  };
}

async function restart(servers: Scene["servers"], tenant: DrillTenant): Promise<void> {
  await servers.startPostgres();
  await tenant.reopen();
}

/** Terminates sessions by their name, and waits until they are gone. */
async function end({ admin }: DrillTenant, name: string): Promise<void> {
  const chosen = "FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE $1";
  const found = await admin.query(`SELECT pg_terminate_backend(pid) ${chosen}`, [name]);
  if (found.rowCount === 0) throw new Error(`there is no session ${name} to terminate`);
  while (((await admin.query(`SELECT ${chosen} AND query_start < now()`, [name])).rowCount ?? 0) > 0) {
    await sleep(20);
    if (name.startsWith("drill writer")) return; // users come back at once
  }
}

/** A stranger's session with a lock. @returns lets it go */
async function lock({ database }: DrillTenant, table: string, mode: string): Promise<() => Promise<void>> {
  const stranger = new pg.Client({ connectionString: databaseUrl(database), application_name: "a stranger" });
  stranger.on("error", () => {});
  await stranger.connect();
  await stranger.query(`BEGIN; LOCK TABLE public.${table} IN ${mode} MODE`);
  return async () => {
    await stranger.query("COMMIT");
    await stranger.end();
  };
}
