import type pg from "pg";
import { associatedData } from "../../migrations/tink/associated-data.ts";
import { type DrillTenant, environment } from "./drill-tenant.ts";
import type { Operation } from "./operation-log.ts";

/** A conversation of every base tenant. */
const conversation = "md5('c1')::uuid";

/**
 * The statements of one operation, in the transaction that is open. R1 moves a body by changing its key and nothing
 * else; R2 has to seal it again, since a ciphertext is bound to its key.
 *
 * @throws {Error} a record that the writer owns is not there
 */
export async function perform(
  session: pg.Client,
  tenant: DrillTenant,
  isSealed: boolean,
  operation: Operation,
): Promise<void> {
  const { verb, kind, id, to } = operation;
  const table = `${kind}_bodies${isSealed ? "_sealed" : ""}`;
  const key = `${kind}_id`;
  const one = async (sql: string, values: unknown[]): Promise<void> => {
    const { rowCount } = await session.query(sql, values);
    if (rowCount !== 1) throw new Error(`${verb} of ${kind} ${id} met ${rowCount} rows, it should be one`);
  };
  const parent = (parentId: string): Promise<void> =>
    kind === "prompt"
      ? one("INSERT INTO prompts (id, title) VALUES ($1, 'drill')", [parentId])
      : one(`INSERT INTO messages (id, conversation_id, role) VALUES ($1, ${conversation}, 'user')`, [parentId]);
  const stored = async (owner: string, body: string): Promise<string | Buffer> =>
    isSealed ? tenant.seal(kind, owner, body) : body;

  if (verb === "delete") return one(`DELETE FROM ${kind}s WHERE id = $1`, [id]);
  if (verb === "update") {
    return one(`UPDATE ${table} SET body = $2 WHERE ${key} = $1`, [id, await stored(id, operation.body ?? "")]);
  }
  if (verb === "insert") {
    await parent(id);
    return one(`INSERT INTO ${table} (${key}, body) VALUES ($1, $2)`, [id, await stored(id, operation.body ?? "")]);
  }
  await parent(to as string);
  if (!isSealed) return one(`UPDATE ${table} SET ${key} = $2 WHERE ${key} = $1`, [id, to]);
  const found = await session.query<{ body: Buffer }>(`SELECT body FROM ${table} WHERE ${key} = $1`, [id]);
  const { aead } = await tenant.keyring().get("prompt");
  const body = aead.open(
    found.rows[0]?.body ?? Buffer.alloc(0),
    associatedData(environment, tenant.tenant, `${kind}.body`, id),
  );
  return one(`UPDATE ${table} SET ${key} = $2, body = $3 WHERE ${key} = $1`, [
    id,
    to,
    await stored(to as string, body.toString()),
  ]);
}
