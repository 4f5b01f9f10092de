import { text } from "../property.ts";
import type { Values } from "../property.ts";
import type { ResourceType } from "../resource-type.ts";
import { VaultError } from "./vault-server.ts";
import type { VaultServer } from "./vault-server.ts";

/** A secrets engine at a path; lease times in seconds, 0 for the server's own. Deleting it destroys all its keys. */
export const mount: ResourceType<VaultServer> = {
  token: "vault:index/mount:Mount",
  properties: {
    path: { kind: "string", isRequired: true, isFixed: true },
    type: { kind: "string", isRequired: true, isReplacing: true },
    description: { kind: "string" },
    defaultLeaseTtlSeconds: { kind: "number", isComputed: true },
    maxLeaseTtlSeconds: { kind: "number", isComputed: true },
    auditNonHmacRequestKeys: { kind: "strings", isComputed: true },
    auditNonHmacResponseKeys: { kind: "strings", isComputed: true },
    listingVisibility: { kind: "string" },
    options: { kind: "map" },
    local: { kind: "boolean", isReplacing: true },
    sealWrap: { kind: "boolean", isComputed: true, isReplacing: true },
    externalEntropyAccess: { kind: "boolean", default: false, isReplacing: true },
    forceNoCache: { kind: "boolean", isOutput: true },
    accessor: { kind: "string", isOutput: true },
  },

  async create(vault, inputs) {
    const path = text(inputs["path"]);
    try {
      await vault.write(`sys/mounts/${path}`, {
        type: inputs["type"],
        description: inputs["description"],
        local: inputs["local"] === true,
        seal_wrap: inputs["sealWrap"] === true,
        external_entropy_access: inputs["externalEntropyAccess"] === true,
        options: inputs["options"],
        config: settings(inputs),
      });
    } catch (error) {
      if (!(error instanceof VaultError) || !error.message.includes("path is already in use")) throw error;
      throw new VaultError(
        `the mount "${path}" exists and is not in this stack; mend: pulumi import vault:index/mount:Mount ${path} ${path}`,
      );
    }
    return { id: path };
  },

  async read(vault, id, state) {
    // The list, because a single mount's answer leaves out the options' version in some releases.
    const mounts = (await vault.read("sys/mounts")) ?? {};
    const found = mounts[`${id}/`] as Values | undefined;
    if (found === undefined) return undefined;
    const config = found["config"] as Values;
    const options = { ...((found["options"] as Values | null) ?? {}) };
    // kv-v2 is kv with an option: reported as it was asked for, or every update would replace it.
    const isKv2 = state["type"] === "kv-v2" && found["type"] === "kv" && options["version"] === "2";
    if (isKv2 && (state["options"] as Values | undefined)?.["version"] === undefined) delete options["version"];
    return {
      path: id,
      type: isKv2 ? "kv-v2" : found["type"],
      description: found["description"],
      defaultLeaseTtlSeconds: config["default_lease_ttl"],
      maxLeaseTtlSeconds: config["max_lease_ttl"],
      auditNonHmacRequestKeys: config["audit_non_hmac_request_keys"] ?? [],
      auditNonHmacResponseKeys: config["audit_non_hmac_response_keys"] ?? [],
      listingVisibility: config["listing_visibility"],
      forceNoCache: config["force_no_cache"],
      options,
      local: found["local"],
      sealWrap: found["seal_wrap"],
      externalEntropyAccess: found["external_entropy_access"],
      accessor: found["accessor"],
    };
  },

  async update(vault, id, _, news) {
    await vault.write(`sys/mounts/${id}/tune`, {
      ...settings(news),
      description: text(news["description"]),
      options: news["options"] ?? {},
    });
  },

  delete: async (vault, id) => vault.remove(`sys/mounts/${id}`),
};

function settings(values: Values): Values {
  return {
    default_lease_ttl: `${Number(values["defaultLeaseTtlSeconds"] ?? 0)}s`,
    max_lease_ttl: `${Number(values["maxLeaseTtlSeconds"] ?? 0)}s`,
    audit_non_hmac_request_keys: values["auditNonHmacRequestKeys"] ?? [],
    audit_non_hmac_response_keys: values["auditNonHmacResponseKeys"] ?? [],
    listing_visibility: text(values["listingVisibility"]),
  };
}
