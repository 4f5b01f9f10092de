import type { VaultSession } from "./session.ts";
import { VaultError } from "./vault-error.ts";

/**
 * One field of the newest version of a KV v2 secret.
 *
 * @param path `<mount>/<path of the secret>`, as in `vault kv get`; the mount is the first segment
 * @throws {VaultError} `missing-key`: no such secret or field, or it holds no text
 */
export async function readSecretField(session: VaultSession, path: string, field: string): Promise<string> {
  const [mount = "", ...rest] = path.split("/");
  const answer = await session.request("GET", `${mount}/data/${rest.join("/")}`);
  const fields = answer.data["data"] as Record<string, unknown> | null | undefined;
  const value = fields?.[field];
  if (typeof value === "string" && value !== "") return value;
  const fault = fields ? `has no text in its field ${field}` : "does not exist";
  throw new VaultError(
    "missing-key",
    `the secret ${path} of Vault at ${session.address} ${fault}; write it: vault kv patch ${path} ${field}=-`,
  );
}
