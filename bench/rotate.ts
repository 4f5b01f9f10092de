import pg from "pg";
import { rotateKek } from "../migrations/keys/rotate-kek.ts";
import { Keyring } from "../migrations/vault/keyring.ts";
import { Transit } from "../migrations/vault/transit.ts";
import { ensureLedger } from "../migrations/ledger/schema.ts";
import { associatedData } from "../migrations/tink/associated-data.ts";
import { ensureMounted } from "../tests/migrations/vault/test-vault.ts";
import { createDatabase, dropDatabase, getVault } from "../tests/servers.ts";
import { interleave, median, rounded, timed, type Bench, type Needs } from "./ratio.ts";

export const needs: Needs = "servers";

/**
 * Rotation of a KEK, the whole of it - new version, rewrap, census, `min_decryption_version`, ledger - on a tenant with ten
 * times the sealed rows against one with fewer. Rows are not touched, so the ratio should be one. `--rows`: sealed rows of
 * the smaller tenant. @default 10000
 */
export const bench: Bench = async ({ rounds, rows = 10_000 }) => {
  const run = process.pid.toString(36);
  const mount = "transit-bench";
  await ensureMounted(`mounts/${mount}`, { type: "transit" });
  const transit = new Transit({ ...getVault(), mount });
  const few = await tenantWith(`bench-few-${run}`, rows, transit);
  const many = await tenantWith(`bench-many-${run}`, rows * 10, transit);
  try {
    for (const tenant of [few, many]) await tenant.rotate(); // prepared statements, caches, TLS: not what is asked
    const seconds: Record<"few" | "many", number[]> = { few: [], many: [] };
    await interleave(
      rounds,
      async () => void seconds.many.push(await timed(() => many.rotate())),
      async () => void seconds.few.push(await timed(() => few.rotate())),
    );
    return [
      {
        name: "rotate",
        ratio: rounded(median(seconds.many) / median(seconds.few)),
        goal: 1.2,
        better: "lower",
        rows,
        rowsTenfold: rows * 10,
        medianMs: rounded(median(seconds.few) * 1000),
        medianTenfoldMs: rounded(median(seconds.many) * 1000),
        rounds,
        allMs: seconds.few.map((each) => rounded(each * 1000)),
        allTenfoldMs: seconds.many.map((each) => rounded(each * 1000)),
      },
    ];
  } finally {
    await few.close();
    await many.close();
  }
};

/** A tenant with sealed prompts, its keysets, and its rotation. */
async function tenantWith(tenant: string, count: number, transit: Transit) {
  const database = tenant.replaceAll("-", "_");
  const client = new pg.Client({ connectionString: await createDatabase(database) });
  client.on("error", () => undefined);
  await client.connect();
  await client.query("SET ROLE rc_migrator");
  await ensureLedger(client);
  const { aead } = await new Keyring({ client, transit, tenant }).ensure("prompt");
  await client.query("CREATE TABLE public.prompt_bodies_sealed (prompt_id uuid PRIMARY KEY, body bytea NOT NULL)");
  const sealed = aead.seal(Buffer.alloc(1000, "lorem ipsum "), associatedData("bench", tenant, "prompt.body", "1"));
  await client.query(
    "INSERT INTO public.prompt_bodies_sealed SELECT gen_random_uuid(), $1 FROM generate_series(1, $2::int)",
    [sealed, count],
  );
  return {
    async rotate(): Promise<void> {
      await rotateKek({ client, transit, tenant, minAgeMs: 0, oldestLiveBackup: undefined });
    },
    async close(): Promise<void> {
      await client.end();
      await dropDatabase(database);
    },
  };
}
