import * as pulumi from "@pulumi/pulumi";
import { AuthBackendRole } from "@pulumi/vault/approle/authBackendRole.js";
import { AuthBackendRoleSecretId } from "@pulumi/vault/approle/authBackendRoleSecretId.js";
import { Audit } from "@pulumi/vault/audit.js";
import { AuthBackend } from "@pulumi/vault/authBackend.js";
import { Mount } from "@pulumi/vault/mount.js";
import { Policy } from "@pulumi/vault/policy.js";
import { Provider } from "@pulumi/vault/provider.js";

export interface SecretsArgs {
  /** API address of this region's Vault, e.g. `https://vault.eu.internal:8200`. */
  readonly address: pulumi.Input<string>;
  /** Token that may mount, write policies and roles; a secret. */
  readonly token: pulumi.Input<string>;
  readonly environment: string;
  /** Releases whose services open sealed data: each gets a role that may unwrap keysets and nothing else. */
  readonly releases: readonly string[];
  /** Where Vault writes its audit log, seen from Vault. @default `stdout` */
  readonly auditFile?: string;
  /** Takes the protection off the transit mount, so that the next update may remove it. @default false */
  readonly isLeaving?: boolean;
}

/** How a service logs in to Vault (approle). */
export interface VaultLogin {
  readonly roleId: pulumi.Output<string>;
  /** A secret. */
  readonly secretId: pulumi.Output<string>;
}

/**
 * Transit mount, policies, auth roles and audit device of one region's Vault. Keys (one KEK per tenant) are data, made by
 * onboarding and by the migrations, not resources. The mount is protected: removing it would make every sealed row
 * unreadable for ever.
 */
export class Secrets extends pulumi.ComponentResource {
  readonly address: pulumi.Output<string>;
  /** TCP port of the address. */
  readonly port: pulumi.Output<number>;
  readonly transitMount: pulumi.Output<string>;
  /** By release id. */
  readonly logins: Readonly<Record<string, VaultLogin>>;
  readonly keeperLogin: VaultLogin;

  constructor(name: string, args: SecretsArgs, opts?: pulumi.ComponentResourceOptions) {
    // Not among the inputs that the state shows: the token, and the protection, whose end is no change of the component.
    const { isLeaving = false, token: _token, ...inputs } = args;
    super("release-coordinator:components:Secrets", name, inputs, opts);
    const provider = new Provider(
      `${name}-vault`,
      { address: args.address, token: args.token, skipChildToken: true },
      { parent: this },
    );
    const child = { parent: this, provider };
    const transit = new Mount(
      `${name}-transit`,
      {
        path: `transit-${args.environment}`,
        type: "transit",
        description: "KEKs of tenants (kek-<tenant>); a deleted key is a shredded tenant",
      },
      { ...child, protect: !isLeaving },
    );
    const approle = new AuthBackend(`${name}-approle`, { type: "approle", path: "approle" }, child);
    new Audit(
      `${name}-audit`,
      { type: "file", path: "release-coordinator", options: { file_path: args.auditFile ?? "stdout" } },
      child,
    );

    const login = (role: string, capabilities: Record<string, readonly string[]>): VaultLogin => {
      const policy = new Policy(
        `${name}-${role}`,
        { name: `${args.environment}-${role}`, policy: transit.path.apply((path) => policyText(path, capabilities)) },
        child,
      );
      const backendRole = new AuthBackendRole(
        `${name}-${role}`,
        {
          backend: approle.path,
          roleName: `${args.environment}-${role}`,
          tokenPolicies: [policy.name],
          tokenTtl: 3600,
          tokenMaxTtl: 86400,
        },
        child,
      );
      const secret = new AuthBackendRoleSecretId(
        `${name}-${role}`,
        { backend: approle.path, roleName: backendRole.roleName },
        child,
      );
      return { roleId: backendRole.roleId, secretId: pulumi.secret(secret.secretId) };
    };

    this.logins = Object.fromEntries(
      args.releases.map((release) => [release, login(`services-${release}`, { "decrypt/kek-*": ["update"] })]),
    );
    this.keeperLogin = login("keeper", {
      "decrypt/kek-*": ["update"],
      "encrypt/kek-*": ["update"],
      "keys/kek-*": ["read"],
    });
    this.address = pulumi.output(args.address);
    this.port = this.address.apply(portOf);
    this.transitMount = transit.path;
    this.registerOutputs({ address: this.address, transitMount: this.transitMount });
  }
}

function portOf(address: string): number {
  const { port, protocol } = new URL(address);
  return port !== "" ? Number(port) : protocol === "https:" ? 443 : 80;
}

function policyText(mount: string, capabilities: Record<string, readonly string[]>): string {
  return Object.entries(capabilities)
    .map(([path, verbs]) => `path "${mount}/${path}" {\n  capabilities = ${JSON.stringify(verbs)}\n}\n`)
    .join("\n");
}
