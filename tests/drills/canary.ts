import { randomBytes } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { resolveReference } from "../../migrations/reference.ts";
import { decodeEncryptedKeyset, decodeKeyset } from "../../migrations/tink/keyset.ts";
import { Transit } from "../../migrations/vault/transit.ts";
import { getVault } from "../servers.ts";
import { type DrillTenant, environment } from "./drill-tenant.ts";

/** Text that stands nowhere by chance; bodies that hold it are searched for afterwards. */
export class Canary {
  /** In every body. */
  readonly mark = `canary${randomBytes(12).toString("hex")}`;

  /** A short body, and one so long and so random that it is stored out of line and uncompressed. */
  bodies(): [string, string] {
    const noise = () => randomBytes(9_000).toString("base64");
    return [`${this.mark} asks for advice`, `${noise()} ${this.mark} ${noise()}`];
  }

  /** Prompts of R1 with these bodies, beside everything else the tenant has. */
  async plant(tenant: DrillTenant, times = 20): Promise<void> {
    for (let nth = 0; nth < times; nth += 1) {
      for (const body of this.bodies()) {
        await tenant.admin.query(
          `WITH parent AS (INSERT INTO prompts (id, title) VALUES (gen_random_uuid(), 'planted') RETURNING id)
           INSERT INTO prompt_bodies SELECT id, $1 FROM parent`,
          [body],
        );
      }
    }
    await tenant.admin.query("ANALYZE prompt_bodies");
  }
}

/** Something that must not be where it is looked for. */
export interface Needle {
  readonly what: string;
  readonly bytes: Buffer;
}

export function markNeedle({ mark }: Canary): Needle {
  return { what: "a prompt", bytes: Buffer.from(mark) };
}

/** The tenant's own keys, as bytes and as people write bytes, and the token that opens Vault. */
export async function keyNeedles(tenant: DrillTenant): Promise<Needle[]> {
  const { address, token } = getVault();
  const transit = new Transit({
    address: resolveReference("env:DRL_VAULT_ADDR"),
    token: resolveReference("env:DRL_VAULT_TOKEN"),
    mount: `transit-${environment}`,
  });
  if (address === "") throw new Error("no Vault");
  const found = await tenant.admin.query<{ encrypted: Buffer }>("SELECT encrypted FROM rc.keyset");
  const needles: Needle[] = [{ what: "Vault's token", bytes: Buffer.from(token) }];
  for (const { encrypted } of found.rows) {
    const opened = await transit.unwrap(tenant.tenant, decodeEncryptedKeyset(encrypted));
    for (const { value } of decodeKeyset(opened).keys) {
      const key = Buffer.from(value);
      needles.push({ what: "a key", bytes: key });
      // The first bytes of its base64 form are the same wherever it stands alone.
      needles.push({ what: "a key in base64", bytes: Buffer.from(key.toString("base64").slice(0, 40)) });
      needles.push({ what: "a key in hex", bytes: Buffer.from(key.toString("hex")) });
    }
    needles.push({ what: "a keyset in base64", bytes: Buffer.from(opened.toString("base64").slice(0, 60)) });
  }
  if (needles.length < 5) throw new Error("the tenant has no keys to look for");
  return needles;
}

/** Names of the files below a folder that hold one of the needles; files that go meanwhile are left out. */
export async function findInFiles(folder: string, needles: readonly Needle[]): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir(folder, { recursive: true })) {
    const path = join(folder, name);
    const isFile = await stat(path).then(
      (entry) => entry.isFile(),
      () => false,
    );
    if (!isFile) continue;
    const bytes = await readFile(path).catch(() => Buffer.alloc(0));
    found.push(...findIn(name, bytes, needles));
  }
  return found;
}

export function findIn(name: string, bytes: Buffer | string, needles: readonly Needle[]): string[] {
  const hay = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
  return needles.filter((needle) => hay.includes(needle.bytes)).map(({ what }) => `${what} in ${name}`);
}

/** @throws {Error} naming what was found where */
export function expectNothing(found: readonly string[]): void {
  if (found.length > 0) throw new Error(`left in clear: ${found.slice(0, 6).join("; ")}`);
}

/** Without this a search that looks in the wrong place would find nothing for ever. @throws {Error} nothing was found */
export function expectSomething(found: readonly string[], where: string): void {
  if (found.length === 0) throw new Error(`the search finds nothing in ${where}, where it must: it proves nothing`);
}
