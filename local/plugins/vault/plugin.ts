import type { Plugin } from "../resource-type.ts";
import { audit } from "./audit.ts";
import { authBackend } from "./auth-backend.ts";
import { appRole } from "./app-role.ts";
import { appRoleSecretId } from "./app-role-secret-id.ts";
import { mount } from "./mount.ts";
import { policy } from "./policy.ts";
import { VaultServer } from "./vault-server.ts";

/** Stand-in of the official `vault` plugin. Times in seconds. */
export const plugin: Plugin<VaultServer> = {
  name: "vault",
  config: {
    address: { kind: "string" },
    token: { kind: "string", isSecret: true },
    // The SDK fills these in by itself. Leases and child tokens play no part: the token is used as it is.
    maxLeaseTtlSeconds: { kind: "number", default: 1200 },
    maxRetries: { kind: "number", default: 2 },
    skipTlsVerify: {
      kind: "boolean",
      refuse: (skips) => (skips === true ? "is true, but the stand-in always checks certificates" : undefined),
    },
    skipChildToken: { kind: "boolean" },
    skipGetVaultVersion: { kind: "boolean" },
  },
  connect: (config) => new VaultServer(config),
  resources: [mount, policy, authBackend, appRole, appRoleSecretId, audit],
};
