import { type Aead, OpenError } from "../../migrations/tink/aead.ts";
import { associatedData } from "../../migrations/tink/associated-data.ts";
import { Keyring } from "../../migrations/vault/keyring.ts";
import { Transit } from "../../migrations/vault/transit.ts";
import type { BodyKind, BodyStore } from "./body-store.ts";
import { ReplyError } from "./reply-error.ts";
import type { ServiceSettings } from "./service-settings.ts";
import type { TenantDatabases } from "./tenant-databases.ts";

/** Longest age of a cached keyset: a new key is promoted to primary only after everybody has had this long to learn it. */
export const KEYSET_CACHE_MS = 600_000;

/** Class of the keyset that seals bodies of both kinds. */
const KEYSET_CLASS = "prompt";

/**
 * R2: bodies are sealed with the tenant's keyset, bound to environment, tenant, kind and record.
 * @throws Error when the container was given no Vault
 */
export function openSealedBodies(settings: ServiceSettings, databases: TenantDatabases): BodyStore {
  const { vault } = settings;
  if (vault === undefined) {
    throw new Error(`${settings.service} of ${settings.release} seals bodies and needs Vault: set VAULT_ADDR.`);
  }
  const transit = new Transit({
    address: vault.address,
    appRole: { roleId: vault.roleId, secretId: vault.secretId },
    mount: vault.transitMount,
  });
  const cache = new Map<string, { readonly aead: Promise<Aead>; readonly loadedAtMs: number }>();

  const load = (tenant: string): Promise<Aead> => {
    const aead = databases
      .run(tenant, async (pool) => (await new Keyring({ client: pool, transit, tenant }).get(KEYSET_CLASS)).aead)
      .catch((error: unknown) => {
        // A failure is not remembered: the next request asks again.
        if (cache.get(tenant)?.aead === aead) cache.delete(tenant);
        if (error instanceof ReplyError) throw error;
        throw new ReplyError("unavailable", `the keyset of tenant ${tenant} cannot be opened now`);
      });
    cache.set(tenant, { aead, loadedAtMs: Date.now() });
    return aead;
  };
  const keyset = (tenant: string): Promise<Aead> => {
    const cached = cache.get(tenant);
    return cached !== undefined && Date.now() - cached.loadedAtMs < KEYSET_CACHE_MS ? cached.aead : load(tenant);
  };
  const context = (tenant: string, kind: BodyKind, id: string): Buffer =>
    associatedData(settings.environment, tenant, `${kind}.body`, id);

  return {
    tables: { prompt: "prompt_bodies_sealed", message: "message_bodies_sealed" },
    columnType: "bytea",
    write: async (tenant, kind, id, text) =>
      (await keyset(tenant)).seal(Buffer.from(text, "utf8"), context(tenant, kind, id)),
    read: async (tenant, kind, id, stored) => {
      if (typeof stored === "string") throw new TypeError("a sealed body is binary; this column is text");
      const open = (aead: Aead): string => aead.open(stored, context(tenant, kind, id)).toString("utf8");
      try {
        return open(await keyset(tenant));
      } catch (error) {
        if (!(error instanceof OpenError) || error.reason !== "unknown-key") throw error;
        // Sealed under a key that is younger than this cache: reload once, then it is a fault.
        return open(await load(tenant));
      }
    },
    ready: async () => {
      const answer = await fetch(`${vault.address}/v1/sys/health?standbyok=true`, {
        signal: AbortSignal.timeout(2_000),
      });
      if (!answer.ok) throw new Error(`Vault answers ${answer.status}: unseal or initialise it`);
    },
  };
}
