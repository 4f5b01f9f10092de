import { createHash } from "node:crypto";
import { authoritativeSide, inSnapshot, type OracleAccess, storedBodies, tenantUrl } from "./oracle-bodies.ts";
import { KEY_PREFIX, TRAFFIC_MARKER } from "./traffic-text.ts";

/**
 * Per tenant, sha256 (hex) over `<kind> <id> <sha256 of the body>\n` of all messages and prompts in ascending order, from
 * the authoritative side: the same before and after a move exactly when no body was lost, added or changed.
 * @param args.isTrafficIncluded whether rows of the traffic generator count. @default true
 * @throws Error when a row does not open
 */
export async function tenantDigests(
  args: OracleAccess & { readonly tenants: readonly string[]; readonly isTrafficIncluded?: boolean },
): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const tenant of args.tenants) {
    const left = args.isTrafficIncluded === false ? await trafficRows(args, tenant) : new Set<string>();
    const hash = createHash("sha256");
    for await (const { kind, id, sha256, reason } of storedBodies(args, tenant)) {
      if (reason !== undefined) throw new Error(`tenant ${tenant}: the sealed ${kind} ${id} does not open: ${reason}`);
      if (!left.has(`${kind} ${id}`)) hash.update(`${kind} ${id} ${sha256}\n`);
    }
    digests[tenant] = hash.digest("hex");
  }
  return digests;
}

export interface PlaintextLeft {
  /** Rows on the authoritative side of all tenants. */
  readonly rows: number;
  /** Of them, rows whose bytes contain known plaintext. */
  readonly withPlaintext: number;
}

/** Words of texts people write to a coding assistant, long enough never to occur in random bytes by chance. */
const COMMON_WORDS = [TRAFFIC_MARKER, "function", "because ", "following ", "Copyright", "software", "https://"];
/** Characters of a row's own text to look for; shorter texts are not looked for. */
const OWN_CHARACTERS = 24;

/**
 * Looks for known plaintext in every row of the authoritative side: in each row for the beginning of its own text, as far
 * as that still stands in clear elsewhere (first chunk, retired source), and for the samples.
 * @param args.samples 8 bytes and more each, else random bytes may hold them by chance. @default common words
 */
export async function plaintextLeft(
  args: OracleAccess & { readonly tenants: readonly string[]; readonly samples?: readonly string[] },
): Promise<PlaintextLeft> {
  const samples = (args.samples ?? COMMON_WORDS).map((sample) => Buffer.from(sample, "utf8"));
  const short = samples.find((sample) => sample.length < 8);
  if (short !== undefined)
    throw new RangeError(`sample ${short.toString()} has ${short.length} bytes: allowed are 8 and more`);
  let rows = 0;
  let withPlaintext = 0;
  for (const tenant of args.tenants) {
    await inSnapshot(tenantUrl(args, tenant), async (client) => {
      const isSealed = (await authoritativeSide(client, tenant)) === "sealed";
      for (const kind of ["prompt", "message"] as const) {
        const bytes = isSealed ? "t.body" : "convert_to(t.body, 'UTF8')";
        const source = await client.query("SELECT to_regclass($1) IS NOT NULL AS there", [`public.${kind}_bodies`]);
        const known = [
          ...(source.rows[0].there
            ? [`SELECT body FROM public.${kind}_bodies s WHERE s.${kind}_id = t.${kind}_id`]
            : []),
          ...(kind === "prompt"
            ? ["SELECT text FROM public.chunks c WHERE c.prompt_id = t.prompt_id AND c.ordinal = 0"]
            : []),
        ].map(
          (query) => `UNION ALL SELECT convert_to(left(k.text, ${OWN_CHARACTERS}), 'UTF8')
            FROM (${query}) k(text) WHERE length(k.text) >= ${OWN_CHARACTERS}`,
        );
        const counted = await client.query<{ rows: number; left: number }>(
          `SELECT count(*)::int AS rows, count(*) FILTER (WHERE EXISTS (SELECT FROM (SELECT unnest($1::bytea[])
             ${known.join(" ")}) p(sample) WHERE position(p.sample IN ${bytes}) > 0))::int AS left
           FROM public.${kind}_bodies${isSealed ? "_sealed" : ""} t`,
          [samples],
        );
        rows += counted.rows[0]?.rows ?? 0;
        withPlaintext += counted.rows[0]?.left ?? 0;
      }
    });
  }
  return { rows, withPlaintext };
}

async function trafficRows(access: OracleAccess, tenant: string): Promise<Set<string>> {
  return await inSnapshot(tenantUrl(access, tenant), async (client) => {
    const { rows } = await client.query<{ row: string }>(
      `SELECT 'prompt ' || id AS row FROM public.prompts WHERE starts_with(idempotency_key, $1)
       UNION ALL SELECT 'message ' || id FROM public.messages WHERE starts_with(idempotency_key, $1)`,
      [KEY_PREFIX],
    );
    return new Set(rows.map(({ row }) => row));
  });
}
