import { text } from "../property.ts";
import type { Properties, Property, Values } from "../property.ts";
import type { ResourceType } from "../resource-type.ts";
import type { VaultServer } from "./vault-server.ts";

const list: Property = { kind: "strings", isSet: true };
const count: Property = { kind: "number" };

/** Properties that Vault knows under the same name with underscores. */
const settings: Properties = {
  bindSecretId: { kind: "boolean", default: true },
  secretIdBoundCidrs: list,
  secretIdNumUses: count,
  secretIdTtl: count,
  tokenBoundCidrs: list,
  tokenExplicitMaxTtl: count,
  tokenMaxTtl: count,
  tokenNoDefaultPolicy: { kind: "boolean" },
  tokenNumUses: count,
  tokenPeriod: count,
  tokenPolicies: list,
  tokenTtl: count,
  tokenType: { kind: "string", isComputed: true },
};

/** A role of an AppRole login method; times in seconds, 0 for the server's own, uses 0 for no limit. */
export const appRole: ResourceType<VaultServer> = {
  token: "vault:appRole/authBackendRole:AuthBackendRole",
  properties: {
    backend: { kind: "string", default: "approle", isReplacing: true },
    roleName: { kind: "string", isRequired: true, isReplacing: true },
    roleId: { kind: "string", isComputed: true },
    // Vault takes it when the role is made, and says so to a change.
    localSecretIds: { kind: "boolean", default: false },
    ...settings,
  },
  async create(vault, inputs) {
    const path = rolePath(inputs);
    await vault.write(path, { ...body(inputs), local_secret_ids: inputs["localSecretIds"] === true });
    if (inputs["roleId"] !== undefined) await vault.write(`${path}/role-id`, { role_id: inputs["roleId"] });
    return { id: path };
  },
  async read(vault, id) {
    const [, backend, roleName] = /^auth\/(.+)\/role\/(.+)$/.exec(id) ?? [];
    if (backend === undefined) throw new Error(`"${id}" is no id of an AppRole role: auth/<backend>/role/<name>`);
    const found = await vault.read(id);
    if (found === undefined) return undefined;
    const roleId = await vault.read(`${id}/role-id`);
    const values = Object.keys(settings).map((name) => [name, found[underscored(name)]]);
    return {
      ...(Object.fromEntries(values) as Values),
      backend,
      roleName,
      roleId: roleId?.["role_id"],
      localSecretIds: found["local_secret_ids"],
    };
  },
  async update(vault, id, olds, news) {
    const changesKind = olds["localSecretIds"] !== news["localSecretIds"];
    await vault.write(id, { ...body(news), ...(changesKind ? { local_secret_ids: news["localSecretIds"] } : {}) });
    if (news["roleId"] !== olds["roleId"]) await vault.write(`${id}/role-id`, { role_id: news["roleId"] });
  },
  delete: async (vault, id) => vault.remove(id),
};

/** Where Vault keeps the role that `backend` and `roleName` name; also its id. */
export function rolePath(values: Values): string {
  const trimmed = (name: string): string => text(values[name]).replace(/^\/+|\/+$/g, "");
  return `auth/${trimmed("backend")}/role/${trimmed("roleName")}`;
}

/** Every setting, also those the program dropped, so that they go back to Vault's own. */
function body(values: Values): Values {
  const empty = { strings: [], number: 0, boolean: false } as Record<string, Values[string]>;
  const entries = Object.entries(settings)
    .map(([name, property]) => [underscored(name), values[name] ?? empty[property.kind]] as const)
    .filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries);
}

function underscored(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
