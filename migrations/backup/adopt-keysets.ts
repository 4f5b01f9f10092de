import type pg from "pg";
import { countableClasses, countRowsByKey } from "../keys/key-census.ts";
import { appendKeyset, KeysetHistory } from "../keys/keyset-history.ts";
import { decodeEncryptedKeyset } from "../tink/keyset.ts";
import { Keyring } from "../vault/keyring.ts";
import { KeysetTable, type KeysetRow } from "../vault/keyset-table.ts";
import type { Transit } from "../vault/transit.ts";

/**
 * Gives a restored database the keysets of the one that it replaces: services keep an opened keyset for ten minutes, so a row
 * could be sealed under a key that the backup is too old to know. A keyset only ever gets more keys, so the newer one opens
 * everything that the older one did; a key that restored rows need and that was disabled since is enabled again. All are
 * wrapped anew under the newest version of the KEK.
 *
 * @param live rows of `rc.keyset` of the database that is replaced; none when it is lost
 * @throws {Error} the two do not belong together, or a restored row needs a key that no keyset has
 */
export async function adoptKeysets(
  client: pg.Client,
  transit: Transit,
  tenant: string,
  live: readonly KeysetRow[],
): Promise<void> {
  const restored = await new KeysetTable(client, tenant).all();
  await refuseStrangers(transit, tenant, restored, live);
  await client.query(
    `INSERT INTO rc.keyset (tenant, class, version, encrypted, created_at, binding)
     SELECT $1, class, version, encrypted, clock_timestamp() - make_interval(secs => age_ms / 1000), binding
     FROM unnest($2::text[], $3::int[], $4::bytea[], $5::float8[], $6::bytea[]) AS live (class, version, encrypted, age_ms, binding)
     ON CONFLICT (tenant, class, version) DO UPDATE SET encrypted = excluded.encrypted, binding = excluded.binding`,
    [
      tenant,
      live.map(({ cls }) => cls),
      live.map(({ version }) => version),
      live.map(({ encrypted }) => encrypted),
      live.map(({ ageMs }) => ageMs),
      live.map(({ binding }) => binding),
    ],
  );
  const heads = live.filter(({ version, head }) => head?.version === version);
  await client.query(
    `INSERT INTO rc.keyset_head (tenant, class, version, binding)
     SELECT $1, class, version, binding FROM unnest($2::text[], $3::int[], $4::bytea[]) AS live (class, version, binding)
     ON CONFLICT (tenant, class) DO UPDATE SET version = excluded.version, binding = excluded.binding
       WHERE excluded.version > keyset_head.version`,
    [tenant, heads.map(({ cls }) => cls), heads.map(({ version }) => version), heads.map(({ head }) => head?.binding)],
  );
  for (const cls of countableClasses()) await enableNeeded(client, transit, tenant, cls);
  await new Keyring({ client, transit, tenant }).rewrapAll();
}

/** Versions of the same name that hold other keys come from two histories: one of them would lose its rows. */
async function refuseStrangers(
  transit: Transit,
  tenant: string,
  restored: readonly KeysetRow[],
  live: readonly KeysetRow[],
): Promise<void> {
  const both = restored.flatMap((row) => {
    const other = live.find(({ cls, version }) => cls === row.cls && version === row.version);
    return other === undefined ? [] : [{ row, other }];
  });
  const open = (rows: readonly KeysetRow[]) =>
    transit.unwrapMany(
      tenant,
      rows.map(({ encrypted }) => decodeEncryptedKeyset(encrypted)),
    );
  const ours = await open(both.map(({ row }) => row));
  const theirs = await open(both.map(({ other }) => other));
  const strange = both.filter((_, nth) => !ours[nth]?.equals(theirs[nth] ?? Buffer.alloc(0)));
  const [first] = strange;
  if (first === undefined) return;
  throw new Error(
    `tenant ${tenant}: keyset ${first.row.cls} version ${first.row.version} of the backup and of the present database hold different keys; ` +
      "one of them is of another history: drop the present database only if its rows may be lost, then restore again",
  );
}

async function enableNeeded(client: pg.Client, transit: Transit, tenant: string, cls: string): Promise<void> {
  const needed = await countRowsByKey(client, cls);
  if (needed.length === 0) return;
  const history = await KeysetHistory.read(client, transit, tenant, cls);
  const { version, keyset } = history?.newest ?? {};
  let mended = keyset;
  for (const { keyId, rows } of needed) {
    const key = keyset?.keys.find(({ id }) => id === keyId);
    if (key === undefined || key.status === "destroyed")
      throw new Error(
        `tenant ${tenant}: ${rows} restored rows need key ${keyId}, which no keyset ${cls} has; restore another backup`,
      );
    if (key.status === "disabled") mended = mended?.withStatus(keyId, "enabled");
  }
  if (mended !== undefined && version !== undefined && mended !== keyset)
    await appendKeyset(client, transit, tenant, cls, version, mended);
}
