import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { databaseUrl, getPostgresUrl } from "../servers.ts";
import type { DrillTenant } from "./drill-tenant.ts";
import { engineBoundaries } from "./engine-boundaries.ts";
import type { Incident, PhaseName } from "./incident.ts";
import { SmallVolume } from "./small-volume.ts";

/** PostgreSQL is full, short of time or sessions, read-only, or lets the engine do less than it needs. */
export const postgresLimitIncidents: readonly Incident[] = [
  diskFull("prepare", ["prompt_bodies_sealed", "message_bodies_sealed"]),
  diskFull("rebuild", ["prompt_bodies", "message_bodies"]),
  {
    title: "the database has a statement_timeout",
    expected: "finishes by itself",
    strike: ({ tenant, postgres, moment, strikes }) => {
      strikes(postgres.before(moment, () => sleep(200)));
      return setting(tenant, "statement_timeout = '50ms'");
    },
  },
  {
    title: "the database has a transaction_timeout",
    phases: ["prepare", "rebuild"],
    expected: "finishes by itself",
    strike: ({ tenant, postgres, strikes }) => {
      strikes(postgres.before(engineBoundaries.chunk, () => sleep(1_000)));
      return setting(tenant, "transaction_timeout = '500ms'");
    },
  },
  {
    title: "the database has an idle_session_timeout",
    phases: ["prepare", "rebuild"],
    expected: "finishes by itself",
    strike: ({ tenant, postgres, strikes }) => {
      strikes(postgres.before(engineBoundaries.chunk, () => sleep(1_000)));
      return setting(tenant, "idle_session_timeout = '500ms'");
    },
  },
  {
    title: "a user's transaction stands still until idle_in_transaction_session_timeout ends it",
    phases: ["cutover", "rollback"],
    expected: "finishes by itself",
    async strike({ tenant, phase }) {
      const [role, table] =
        phase === "cutover"
          ? (["platform_r1", "prompt_bodies"] as const)
          : (["platform_r2", "prompt_bodies_sealed"] as const);
      const session = await tenant.as(role);
      await session.query(`BEGIN; SET LOCAL idle_in_transaction_session_timeout = '1s'; DELETE FROM ${table}`);
    },
  },
  {
    title: "the database is read-only",
    expected: /^tenant \S+: PostgreSQL at \S+: .*read-only transaction.* RESET default_transaction_read_only/,
    isOfOneTenant: true,
    strike: ({ tenant }) => setting(tenant, "default_transaction_read_only = on"),
  },
  {
    title: "the database becomes read-only before the session of the cutover is opened",
    phases: ["cutover", "rollback"],
    expected: /^tenant \S+: PostgreSQL at \S+: .*read-only transaction.* RESET default_transaction_read_only/,
    async strike({ tenant, postgres, strikes }) {
      let reset: (() => Promise<unknown>) | undefined;
      const before = async () => {
        reset = await setting(tenant, "default_transaction_read_only = on");
      };
      strikes(postgres.before(engineBoundaries.takeover, before));
      return async () => reset?.();
    },
  },
  {
    title: "the engine's login has too few sessions",
    expected: /^tenant \S+: PostgreSQL at \S+: too many connections for role .*CONNECTION LIMIT/,
    isOfOneTenant: true,
    async strike({ tenant: { admin }, postgres, as, random }) {
      const login = await newLogin(admin, random.below(3) + 1);
      as.postgresUrl = urlOf(postgres.url, login);
      return () => dropLogin(admin, login);
    },
  },
  {
    title: "all sessions of the server are taken",
    expected:
      /^tenant \S+: PostgreSQL at \S+: .*(too many clients|connection slots are reserved).*raise max_connections/,
    async strike() {
      const crowd: pg.Client[] = [];
      for (;;) {
        const one = new pg.Client({ connectionString: getPostgresUrl(), application_name: "crowd" });
        one.on("error", () => {});
        try {
          await one.connect();
        } catch (error) {
          if ((error as { code?: string }).code !== "53300") throw error;
          break;
        }
        crowd.push(one);
      }
      return () => Promise.all(crowd.map((one) => one.end()));
    },
  },
  {
    title: "the engine's login is no member of rc_migrator",
    expected: /^tenant \S+: PostgreSQL at \S+: .*permission denied.*GRANT rc_migrator/,
    isOfOneTenant: true,
    async strike({ tenant: { admin }, postgres, as }) {
      const login = await newLogin(admin, -1);
      await admin.query(`REVOKE rc_migrator FROM ${login}`);
      as.postgresUrl = urlOf(postgres.url, login);
      return () => dropLogin(admin, login);
    },
  },
  {
    title: "a table that has to be filled belongs to somebody else",
    phases: ["prepare", "rebuild"],
    expected: /^tenant \S+: PostgreSQL at \S+: .*(must be owner|permission denied).*let rc_migrator own/,
    isOfOneTenant: true,
    async strike({ tenant: { admin }, phase }) {
      const table = phase === "prepare" ? "message_bodies_sealed" : "message_bodies";
      const stranger = `drill_stranger_${Date.now()}`;
      await admin.query(`CREATE ROLE ${stranger}; ALTER TABLE public.${table} OWNER TO ${stranger}`);
      return () => admin.query(`ALTER TABLE public.${table} OWNER TO rc_migrator; DROP ROLE ${stranger}`);
    },
  },
];

function diskFull(phase: PhaseName, tables: readonly string[]): Incident {
  return {
    title: `the volume is full during ${phase}`,
    phases: [phase],
    expected: /^tenant \S+: PostgreSQL at \S+: could not extend file .*; free space .*run the update again/,
    isOfOneTenant: true,
    async strike({ tenant: { admin } }) {
      const volume = await SmallVolume.mount(8);
      const space = `drill_${Date.now()}`;
      await admin.query(`CREATE TABLESPACE ${space} LOCATION '${volume.folder}'`);
      for (const table of tables) await admin.query(`ALTER TABLE public.${table} SET TABLESPACE ${space}`);
      await volume.fill(64 * 1024);
      return async () => {
        await volume.empty();
        // Not now: the run to come is to find the same tables, with room. The volume goes when the drill ends.
      };
    },
  };
}

/** A setting of the database for sessions to come. @returns takes it back */
async function setting({ admin, database }: DrillTenant, text: string): Promise<() => Promise<unknown>> {
  await admin.query(`ALTER DATABASE ${database} SET ${text}`);
  return () => admin.query(`ALTER DATABASE ${database} RESET ALL`);
}

/** A login as components make it for the engine: no superuser, a member of rc_migrator. */
async function newLogin(admin: pg.Client, connectionLimit: number): Promise<string> {
  const login = `drill_login_${Date.now()}`;
  await admin.query(
    `CREATE ROLE ${login} LOGIN PASSWORD '${login}' CONNECTION LIMIT ${connectionLimit}; GRANT rc_migrator TO ${login}`,
  );
  return login;
}

function dropLogin(admin: pg.Client, login: string): Promise<unknown> {
  return admin.query(`DROP ROLE ${login}`);
}

function urlOf(url: string, login: string): string {
  const parsed = new URL(databaseUrl("postgres", url));
  [parsed.username, parsed.password] = [login, login];
  return parsed.href;
}
