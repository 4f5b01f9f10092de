import { text } from "../property.ts";
import type { Values } from "../property.ts";
import type { ResourceType } from "../resource-type.ts";
import { VaultError } from "./vault-server.ts";
import type { VaultServer } from "./vault-server.ts";

/** A login method at a path, by default its type. Deleting it ends all its tokens. */
export const authBackend: ResourceType<VaultServer> = {
  token: "vault:index/authBackend:AuthBackend",
  schemaVersion: 1,
  properties: {
    type: { kind: "string", isRequired: true, isReplacing: true },
    path: {
      kind: "string",
      isComputed: true,
      isFixed: true,
      refuse: (path) =>
        /^\/|\/$/.test(text(path)) ? `is "${text(path)}", but must not begin or end with a slash` : undefined,
    },
    description: { kind: "string" },
    local: { kind: "boolean", isReplacing: true },
    accessor: { kind: "string", isOutput: true },
    // What the server has; the stand-in changes none of it.
    tune: { kind: "object", isOutput: true },
  },
  async create(vault, inputs) {
    const path = text(inputs["path"] ?? inputs["type"]);
    try {
      await vault.write(`sys/auth/${path}`, {
        type: inputs["type"],
        description: inputs["description"],
        local: inputs["local"] === true,
      });
    } catch (error) {
      if (!(error instanceof VaultError) || !error.message.includes("path is already in use")) throw error;
      throw new VaultError(
        `the auth method "${path}" exists and is not in this stack; ` +
          `mend: pulumi import vault:index/authBackend:AuthBackend ${path} ${path}`,
      );
    }
    return { id: path };
  },
  async read(vault, id) {
    const found = ((await vault.read("sys/auth")) ?? {})[`${id}/`] as Values | undefined;
    if (found === undefined) return undefined;
    const { type, description, local, accessor } = found;
    const config = (found["config"] ?? {}) as Values;
    const tune = {
      defaultLeaseTtl: `${Number(config["default_lease_ttl"] ?? 0)}s`,
      maxLeaseTtl: `${Number(config["max_lease_ttl"] ?? 0)}s`,
      tokenType: text(config["token_type"]),
    };
    return { path: id, type, description, local, accessor, tune };
  },
  async update(vault, id, _, news) {
    await vault.write(`sys/auth/${id}/tune`, { description: text(news["description"]) });
  },
  delete: async (vault, id) => vault.remove(`sys/auth/${id}`),
};
