import { randomBytes } from "node:crypto";
import { Transit } from "../../../migrations/vault/transit.ts";
import { getVault } from "../../servers.ts";

/** Transit mount of these tests alone. */
export const testMount = "transit-tinktest";

/** A request by the root token, beside the code under test. An answer of 400 and above is returned as well. */
export async function askVault(
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; data: Record<string, unknown> }> {
  const { address, token } = getVault();
  const response = await fetch(`${address}/v1/${path}`, {
    method,
    headers: { "X-Vault-Token": token },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const answer = text === "" ? {} : (JSON.parse(text) as { data?: Record<string, unknown> });
  return { status: response.status, data: answer.data ?? {} };
}

/** Mounts an engine or enables an auth method unless it is there. */
export async function ensureMounted(path: `mounts/${string}` | `auth/${string}`, body: object): Promise<void> {
  const made = await askVault("POST", `sys/${path}`, body);
  if (made.status >= 400 && (await askVault("GET", `sys/${path}/tune`)).status !== 200) {
    throw new Error(`Vault did not mount ${path}: HTTP ${made.status}`);
  }
}

/** The transit engine of these tests, mounted. */
export async function testTransit(): Promise<Transit> {
  await ensureMounted(`mounts/${testMount}`, { type: "transit" });
  return new Transit({ ...getVault(), mount: testMount });
}

/** A tenant nobody had before: KEKs outlive a test. */
export function newTenant(): string {
  return `t-${randomBytes(6).toString("hex")}`;
}

/** Deletes a tenant's KEK, as a crypto-shred does. */
export async function shredKek(tenant: string): Promise<void> {
  await askVault("POST", `${testMount}/keys/kek-${tenant}/config`, { deletion_allowed: true });
  await askVault("DELETE", `${testMount}/keys/kek-${tenant}`);
}
