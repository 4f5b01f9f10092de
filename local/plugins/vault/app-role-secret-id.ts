import { text, texts } from "../property.ts";
import type { ResourceType } from "../resource-type.ts";
import { rolePath } from "./app-role.ts";
import { VaultError } from "./vault-server.ts";
import type { VaultServer } from "./vault-server.ts";

/** A secret id of an AppRole role, kept encrypted in state; `ttl` in seconds, 0 for the role's own. */
export const appRoleSecretId: ResourceType<VaultServer> = {
  token: "vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId",
  properties: {
    backend: { kind: "string", default: "approle", isReplacing: true },
    roleName: { kind: "string", isRequired: true, isReplacing: true },
    secretId: { kind: "string", isComputed: true, isSecret: true, isReplacing: true },
    cidrLists: { kind: "strings", isSet: true, isReplacing: true },
    tokenBoundCidrs: { kind: "strings", isSet: true, isReplacing: true },
    metadata: { kind: "string", isReplacing: true, isSame: isSameJson },
    // Computed, because Vault reports the role's own when the program names none.
    ttl: { kind: "number", isComputed: true, isReplacing: true },
    numUses: { kind: "number", isComputed: true, isReplacing: true },
    accessor: { kind: "string", isOutput: true },
    // Set with `wrappingTtl` only, which the stand-in does not serve.
    wrappingAccessor: { kind: "string", isOutput: true },
    wrappingToken: { kind: "string", isOutput: true, isSecret: true },
  },
  async create(vault, inputs) {
    const path = rolePath(inputs);
    const isCustom = inputs["secretId"] !== undefined;
    const answer = await vault.write(`${path}/${isCustom ? "custom-secret-id" : "secret-id"}`, {
      secret_id: inputs["secretId"],
      cidr_list: texts(inputs["cidrLists"]).join(","),
      token_bound_cidrs: texts(inputs["tokenBoundCidrs"]).join(","),
      metadata: text(inputs["metadata"]),
      ttl: inputs["ttl"],
      num_uses: inputs["numUses"],
    });
    const accessor = text(answer["secret_id_accessor"]);
    const role = text(inputs["roleName"]);
    return {
      id: `backend=${text(inputs["backend"])}::role=${role}::accessor=${accessor}`,
      outputs: { accessor, secretId: answer["secret_id"] },
    };
  },
  async read(vault, id) {
    const { backend, roleName, accessor } = parts(id);
    try {
      const found = await vault.write(`${rolePath({ backend, roleName })}/secret-id-accessor/lookup`, {
        secret_id_accessor: accessor,
      });
      return {
        backend,
        roleName,
        accessor,
        cidrLists: found["cidr_list"],
        tokenBoundCidrs: found["token_bound_cidrs"],
        metadata: JSON.stringify(found["metadata"] ?? {}),
        ttl: found["secret_id_ttl"],
        numUses: found["secret_id_num_uses"],
      };
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  },
  async delete(vault, id) {
    const { backend, roleName, accessor } = parts(id);
    try {
      await vault.write(`${rolePath({ backend, roleName })}/secret-id-accessor/destroy`, {
        secret_id_accessor: accessor,
      });
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  },
};

function parts(id: string): { backend: string; roleName: string; accessor: string } {
  const [, backend, roleName, accessor] = /^backend=(.+)::role=(.+)::accessor=(.+)$/.exec(id) ?? [];
  if (backend === undefined || roleName === undefined || accessor === undefined) {
    throw new Error(`"${id}" is no id of an AppRole secret id: backend=<path>::role=<name>::accessor=<accessor>`);
  }
  return { backend, roleName, accessor };
}

/** Expired, destroyed, or its role or login method is no more; Vault words each differently. */
function isGone(error: unknown): boolean {
  if (!(error instanceof VaultError)) return false;
  return /: 404 |does not exist|failed to find accessor entry|no handler for route/.test(error.message);
}

function isSameJson(left: unknown, right: unknown): boolean {
  const normal = (value: unknown): string => {
    const parsed: unknown = typeof value === "string" && value !== "" ? JSON.parse(value) : {};
    return JSON.stringify(Object.entries(parsed as object).sort());
  };
  return normal(left) === normal(right);
}
