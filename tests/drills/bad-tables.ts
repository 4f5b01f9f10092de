/** A table that cannot be mirrored exactly: what makes it so, and what is said of it. */
export interface BadTable {
  readonly title: string;
  readonly sql: string;
  /** Undoes it, so that the same tenant can be moved after all. */
  readonly mend: string;
  readonly reason: RegExp;
}

export const badTables: readonly BadTable[] = [
  {
    title: "text inline in a wide table",
    sql: "ALTER TABLE public.prompt_bodies ADD author text",
    mend: "ALTER TABLE public.prompt_bodies DROP author",
    reason: /holds body inline, beside author; split the column off/,
  },
  {
    title: "a payload that may be NULL",
    sql: "ALTER TABLE public.prompt_bodies ALTER body DROP NOT NULL",
    mend: "ALTER TABLE public.prompt_bodies ALTER body SET NOT NULL",
    reason: /body may be NULL/,
  },
  {
    title: "no primary key",
    sql: "ALTER TABLE public.prompt_bodies DROP CONSTRAINT prompt_bodies_pkey",
    mend: "ALTER TABLE public.prompt_bodies ADD PRIMARY KEY (prompt_id)",
    reason: /has no primary key/,
  },
  {
    title: "another primary key",
    sql: "ALTER TABLE public.prompt_bodies DROP CONSTRAINT prompt_bodies_pkey, ADD PRIMARY KEY (body)",
    mend: "ALTER TABLE public.prompt_bodies DROP CONSTRAINT prompt_bodies_pkey, ADD PRIMARY KEY (prompt_id)",
    reason: /its primary key is \(body\)/,
  },
  {
    title: "row-level security",
    sql: "ALTER TABLE public.message_bodies ENABLE ROW LEVEL SECURITY",
    mend: "ALTER TABLE public.message_bodies DISABLE ROW LEVEL SECURITY",
    reason: /has row-level security/,
  },
  {
    title: "somebody else's trigger",
    sql: "CREATE TRIGGER audit BEFORE UPDATE ON public.prompt_bodies FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    mend: "DROP TRIGGER audit ON public.prompt_bodies",
    reason: /has triggers that are not the engine's: audit/,
  },
  {
    title: "a rule",
    sql: "CREATE RULE quiet AS ON DELETE TO public.prompt_bodies DO INSTEAD NOTHING",
    mend: "DROP RULE quiet ON public.prompt_bodies",
    reason: /has rules: quiet/,
  },
  {
    title: "a generated column",
    sql: "ALTER TABLE public.prompt_bodies ADD length int GENERATED ALWAYS AS (length(body)) STORED",
    mend: "ALTER TABLE public.prompt_bodies DROP length",
    reason: /has generated columns length/,
  },
  {
    title: "a view on the text",
    sql: "CREATE VIEW public.report AS SELECT body FROM public.prompt_bodies",
    mend: "DROP VIEW public.report",
    reason: /views read it and would stop working: (public\.)?report/,
  },
  {
    title: "a materialized view on the text",
    sql: "CREATE MATERIALIZED VIEW public.digest AS SELECT md5(body) FROM public.message_bodies",
    mend: "DROP MATERIALIZED VIEW public.digest",
    reason: /message_bodies: views read it and would stop working: (public\.)?digest/,
  },
  {
    title: "a table that refers to the leaf",
    sql: "CREATE TABLE public.note (id uuid REFERENCES public.prompt_bodies)",
    mend: "DROP TABLE public.note",
    reason: /tables refer to it: (public\.)?note/,
  },
  {
    title: "a child by inheritance",
    sql: "CREATE TABLE public.child () INHERITS (public.prompt_bodies)",
    mend: "DROP TABLE public.child",
    reason: /is partitioned or inherits/,
  },
  {
    title: "a partitioned table",
    sql: `ALTER TABLE public.message_bodies RENAME TO plain_bodies;
      CREATE TABLE public.message_bodies (message_id uuid PRIMARY KEY, body text NOT NULL) PARTITION BY HASH (message_id)`,
    mend: "DROP TABLE public.message_bodies; ALTER TABLE public.plain_bodies RENAME TO message_bodies",
    reason: /message_bodies: is partitioned or inherits/,
  },
  {
    title: "a view in the place of the table",
    sql: `ALTER TABLE public.message_bodies RENAME TO plain_bodies;
      CREATE VIEW public.message_bodies AS SELECT * FROM public.plain_bodies`,
    mend: "DROP VIEW public.message_bodies; ALTER TABLE public.plain_bodies RENAME TO message_bodies",
    reason: /message_bodies: is no table/,
  },
  {
    title: "a payload that is json",
    sql: "ALTER TABLE public.message_bodies ALTER body TYPE jsonb USING to_jsonb(body)",
    mend: "ALTER TABLE public.message_bodies ALTER body TYPE text USING body #>> '{}'",
    reason: /message_bodies.*body is jsonb/,
  },
  {
    title: "a sink that holds text",
    sql: "ALTER TABLE public.prompt_bodies_sealed ALTER body TYPE text USING ''",
    mend: "ALTER TABLE public.prompt_bodies_sealed ALTER body TYPE bytea USING ''; ALTER TABLE public.prompt_bodies_sealed ALTER body SET STORAGE EXTERNAL",
    reason: /prompt_bodies_sealed: body is text; let it be bytea/,
  },
  {
    title: "a release's role that owns a table",
    sql: "ALTER TABLE public.messages OWNER TO platform_r1",
    mend: "ALTER TABLE public.messages OWNER TO rc_migrator",
    reason: /role platform_r1: owns messages/,
  },
  {
    title: "a value above 64 MiB",
    sql: `INSERT INTO public.prompts (id, title) VALUES ('00000000-0000-0000-0000-000000000001', 'large');
      INSERT INTO public.prompt_bodies VALUES ('00000000-0000-0000-0000-000000000001', repeat('x', 64 * 1024 * 1024 + 1))`,
    mend: "DELETE FROM public.prompts WHERE id = '00000000-0000-0000-0000-000000000001'",
    reason: /1 values of body are larger than 67108864 bytes/,
  },
];
