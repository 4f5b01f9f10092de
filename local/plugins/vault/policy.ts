import { text } from "../property.ts";
import type { ResourceType } from "../resource-type.ts";
import type { VaultServer } from "./vault-server.ts";

/** An access policy in HCL; one of the same name is overwritten, as by the official plugin. */
export const policy: ResourceType<VaultServer> = {
  token: "vault:index/policy:Policy",
  properties: {
    name: { kind: "string", isAutonamed: true, isReplacing: true },
    policy: { kind: "string", isRequired: true },
  },
  async create(vault, inputs) {
    const name = text(inputs["name"]);
    await vault.write(`sys/policies/acl/${name}`, { policy: inputs["policy"] });
    // Vault folds the case of policy names; the official plugin keeps the program's.
    return { id: name };
  },
  async read(vault, id, state) {
    const found = await vault.read(`sys/policies/acl/${id}`);
    return found === undefined ? undefined : { name: state["name"] ?? id, policy: found["policy"] };
  },
  async update(vault, id, _, news) {
    await vault.write(`sys/policies/acl/${id}`, { policy: news["policy"] });
  },
  delete: async (vault, id) => vault.remove(`sys/policies/acl/${id}`),
};
