import type { Attempt, RefusalCase } from "./refusal-case.ts";
import { loginUrl, r1, r2, stackText } from "./refusal-world.ts";
import type { RefusalWorld } from "./refusal-world.ts";

const toR2 = (world: RefusalWorld) => world.writeStackFile(stackText(r2, r1));
const acme = "tenant_acme";

interface Breakage {
  readonly title: string;
  readonly database: string;
  readonly sql: string;
  readonly undo: string;
  readonly says: readonly RegExp[];
  readonly more?: readonly Attempt[];
}

/** A tenant's table or a role that one statement has spoilt: the way to R2 is refused in preview. */
const breakages: readonly Breakage[] = [
  {
    title: "text inline in a wide table",
    database: acme,
    sql: "ALTER TABLE public.prompt_bodies ADD author text",
    undo: "ALTER TABLE public.prompt_bodies DROP author",
    says: [/tenant acme, prompt_bodies/, /holds body inline, beside author/, /split the column off .* Alembic step/],
    more: [{ command: "up now", says: [/holds body inline/] }],
  },
  {
    title: "row-level security on a leaf table",
    database: acme,
    sql: "ALTER TABLE public.message_bodies ENABLE ROW LEVEL SECURITY",
    undo: "ALTER TABLE public.message_bodies DISABLE ROW LEVEL SECURITY",
    says: [/tenant acme, message_bodies: has row-level security/, /DISABLE ROW LEVEL SECURITY/],
  },
  {
    title: "a view that would stop working",
    database: acme,
    sql: "CREATE VIEW public.reading AS SELECT body FROM public.prompt_bodies",
    undo: "DROP VIEW public.reading",
    says: [/tenant acme, prompt_bodies: views read it .*reading/, /drop them in the expand revision/],
  },
  {
    title: "a release's role that owns a table",
    database: acme,
    sql: "CREATE TABLE public.notes (id int); ALTER TABLE public.notes OWNER TO platform_r1",
    undo: "DROP TABLE public.notes",
    says: [/tenant acme, role platform_r1: owns notes/, /ALTER TABLE \.\. OWNER TO rc_migrator/],
  },
  {
    title: "a release's role that is a superuser",
    database: "postgres",
    sql: "ALTER ROLE platform_r1 SUPERUSER",
    undo: "ALTER ROLE platform_r1 NOSUPERUSER",
    says: [/role platform_r1: is a superuser/, /ALTER ROLE platform_r1 NOSUPERUSER/],
  },
  {
    title: "a release's role that bypasses row-level security",
    database: "postgres",
    sql: "ALTER ROLE platform_r2 BYPASSRLS",
    undo: "ALTER ROLE platform_r2 NOBYPASSRLS",
    says: [/role platform_r2: bypasses row-level security/, /ALTER ROLE platform_r2 NOBYPASSRLS/],
  },
  {
    title: "a release's role that is a member of the owner",
    database: "postgres",
    sql: "GRANT rc_migrator TO platform_r1",
    undo: "REVOKE rc_migrator FROM platform_r1",
    says: [/role platform_r1: is a member of rc_migrator/, /REVOKE rc_migrator FROM platform_r1/],
  },
  {
    title: "a tenant's database that is not there",
    database: "postgres",
    sql: "ALTER DATABASE tenant_acme RENAME TO tenant_lost",
    undo: "ALTER DATABASE tenant_lost RENAME TO tenant_acme",
    says: [/tenant acme: its database tenant_acme is not on PostgreSQL at 127\.0\.0\.1/, /restore it/],
  },
  {
    title: "a reading role that may not read the registry",
    database: "rc_registry",
    sql: "REVOKE USAGE ON SCHEMA registry FROM rc_reader",
    undo: "GRANT USAGE ON SCHEMA registry TO rc_reader",
    says: [
      /region local: the login \w+ may not read rc_registry/,
      /permission denied for schema registry/,
      /pulumi up/,
    ],
  },
  {
    title: "a reading role that may not read a tenant",
    database: acme,
    sql: "REVOKE SELECT ON public.prompt_bodies, public.message_bodies FROM rc_reader",
    undo: "GRANT SELECT ON public.prompt_bodies, public.message_bodies TO rc_reader",
    says: [/tenant acme: the login \w+ may not read tenant_acme/, /permission denied for table/, /GRANT rc_reader/],
  },
];

const password = "a-password-that-nobody-has";

/** What keeps tenants from being moved exactly, or the program from looking. */
export const databaseCases: readonly RefusalCase[] = [
  ...breakages.map(({ title, database, sql, undo, says, more = [] }): RefusalCase => ({
    title,
    on: "r1",
    async arrange(world) {
      await toR2(world);
      await world.servers.sql(database, sql);
    },
    attempts: [{ command: "preview", says }, ...more],
    mend: async (world) => void (await world.servers.sql(database, undo)),
  })),
  {
    title: "a PostgreSQL that does not answer",
    on: "r1",
    arrange: toR2,
    attempts: [
      {
        command: "preview",
        variables: { RC_POSTGRES_URL: "postgresql://nobody@127.0.0.1:9/postgres" },
        says: [
          /region local: PostgreSQL at 127\.0\.0\.1:9 does not answer/,
          /start it, or correct env:RC_POSTGRES_URL/,
        ],
      },
      {
        command: ["check", "r2", "--env", "dev"],
        variables: { RC_POSTGRES_URL: "postgresql://nobody@127.0.0.1:9/postgres" },
        exitCode: 1,
        says: [/PostgreSQL at 127\.0\.0\.1:9 does not answer/, /env:RC_POSTGRES_URL/],
      },
    ],
  },
  {
    title: "a login that PostgreSQL does not know",
    on: "r1",
    async arrange(world) {
      await toR2(world);
      process.env["RC_DRILL_LOGIN"] = loginUrl(world, "nobody", password);
      await world.writeStackFile(stackText(r2, r1).replace("env:RC_POSTGRES_URL", "env:RC_DRILL_LOGIN"));
    },
    attempts: [
      { command: "preview", says: [/refuses the login nobody/, /correct user and password in env:RC_DRILL_LOGIN/] },
    ],
    mend: async () => void delete process.env["RC_DRILL_LOGIN"],
    secrets: [password],
  },
  {
    title: "a prompt whose text is not in the database",
    on: "r1",
    arrange: async (world) =>
      void (await world.servers.sql(acme, "INSERT INTO public.prompts (title) VALUES ('only a title')")),
    attempts: [
      {
        command: ["promote", "r2", "--env", "dev"],
        exitCode: 2,
        says: [/blocker prompts-in-database/, /1 rows have no payload in the database: acme \(1\)/],
      },
    ],
    mend: async (world) =>
      void (await world.servers.sql(acme, "DELETE FROM public.prompts WHERE title = 'only a title'")),
  },
];
