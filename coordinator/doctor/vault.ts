import { resolveReference } from "../../migrations/reference.ts";
import { VaultSession } from "../../migrations/vault/session.ts";
import type { Environment } from "../../releases/environment.ts";
import { fine, missing, toDecide } from "./finding.ts";
import type { Finding } from "./finding.ts";

interface VaultPlace {
  readonly subject: string;
  readonly environment: string;
  readonly session: VaultSession;
  /** False: the stack file does not ask for Vault yet. */
  readonly isPresent: boolean;
  /** No update has run: what components/secrets.ts makes must not be there yet. */
  readonly isFirst: boolean;
}

/** Vault of one region: answers, the token may do what the first update does, mount, auth method and audit device. */
export async function lookAtVault(
  environment: Environment,
  region: Environment["regions"][number],
  isFirst: boolean,
): Promise<Finding[]> {
  const subject = `vault ${region.name}`;
  const isPresent = environment.present.vault;
  if (region.vault === undefined) {
    const mend = "name vault: {kind: external, address, token} under the region before a release needs it";
    return [isPresent ? missing(subject, "no Vault is named", mend) : toDecide(subject, "no Vault is named", mend)];
  }
  const [address, token] = [resolveReference(region.vault.address), resolveReference(region.vault.token)];
  const session = new VaultSession({ address, token, deadlineMs: 3000 });
  await session.request("GET", "auth/token/lookup-self");
  const place = { subject, environment: environment.name, session, isPresent, isFirst };
  const findings = await Promise.all([lookAtPlaces(place), lookAtCapabilities(place)]);
  return [fine(subject, `${session.address} is unsealed and knows the token`), ...findings.flat()];
}

async function lookAtPlaces({ subject, environment, session, isPresent, isFirst }: VaultPlace): Promise<Finding[]> {
  const places = [
    { list: "sys/mounts", path: `transit-${environment}/`, type: "transit", token: "vault:index/mount:Mount" },
    { list: "sys/auth", path: "approle/", type: "approle", token: "vault:index/authBackend:AuthBackend" },
    { list: "sys/audit", path: "release-coordinator/", type: "file", token: "vault:index/audit:Audit" },
  ] as const;
  const findings = places.map(async ({ list, path, type, token }): Promise<Finding[]> => {
    const { data } = await session.request("GET", list);
    const found = data[path] as { type?: string } | undefined;
    const what = `${list.slice("sys/".length)} ${path}`;
    if (found === undefined) {
      if (isPresent && !isFirst) return [missing(subject, `${what} is gone`, "pulumi refresh, then pulumi up")];
      return [fine(subject, `the first update with present.vault makes ${what}`)];
    }
    if (found.type !== type)
      return [missing(subject, `${what} is of type ${found.type}, needed is ${type}`, `move it to another path`)];
    if (isPresent && !isFirst) return [fine(subject, `${what} is there`)];
    const name = path.slice(0, -1);
    return [
      toDecide(
        subject,
        `${what} exists, but no update of this stack made it`,
        `pulumi import ${token} ${name} ${name}`,
      ),
    ];
  });
  return (await Promise.all(findings)).flat();
}

async function lookAtCapabilities({ subject, environment, session, isPresent }: VaultPlace): Promise<Finding[]> {
  const paths = [
    `sys/mounts/transit-${environment}`,
    "sys/auth/approle",
    "sys/audit/release-coordinator",
    `sys/policies/acl/${environment}-keeper`,
    `auth/approle/role/${environment}-keeper`,
    `transit-${environment}/keys/kek-probe`,
    `transit-${environment}/encrypt/kek-probe`,
    `transit-${environment}/decrypt/kek-probe`,
  ];
  const { data } = await session.request("POST", "sys/capabilities-self", { paths });
  const lacking = paths.filter((path) => {
    const capabilities = (data[path] as string[] | undefined) ?? [];
    return !capabilities.some((each) => ["root", "create", "update"].includes(each));
  });
  if (lacking.length === 0) return [fine(subject, "the token may make and use what the components need")];
  const found = `the token may not write ${lacking.join(", ")}`;
  const mend = `vault policy write: ${lacking.map((path) => `path "${path}" { capabilities = ["create", "read", "update", "delete", "sudo"] }`).join(" ")}`;
  return [isPresent ? missing(subject, found, mend) : toDecide(subject, found, mend)];
}
