import { text } from "../property.ts";
import type { Values } from "../property.ts";
import type { ResourceType } from "../resource-type.ts";
import type { VaultServer } from "./vault-server.ts";

/** An audit device at a path, by default its type. Vault stops answering when its only device cannot be written. */
export const audit: ResourceType<VaultServer> = {
  token: "vault:index/audit:Audit",
  properties: {
    type: { kind: "string", isRequired: true, isReplacing: true },
    path: { kind: "string", isComputed: true, isReplacing: true },
    description: { kind: "string", isReplacing: true },
    local: { kind: "boolean", isReplacing: true },
    options: { kind: "map", isRequired: true, isReplacing: true },
  },
  async create(vault, inputs) {
    const path = text(inputs["path"] ?? inputs["type"]).replace(/^\/+|\/+$/g, "");
    await vault.write(`sys/audit/${path}`, {
      type: inputs["type"],
      description: inputs["description"],
      options: inputs["options"],
      local: inputs["local"] === true,
    });
    return { id: path, outputs: { path } };
  },
  async read(vault, id) {
    const found = ((await vault.read("sys/audit")) ?? {})[`${id}/`] as Values | undefined;
    if (found === undefined) return undefined;
    const { type, description, options, local } = found;
    return { path: id, type, description, options, local };
  },
  delete: async (vault, id) => vault.remove(`sys/audit/${id}`),
};
