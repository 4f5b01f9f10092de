import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { checkSignature } from "./ssh-signature.ts";
import type { CheckedApproval } from "./judge-approvals.ts";
import { parseApproval } from "./statement.ts";
import type { SignedApproval } from "./statement.ts";

/** Approvals of one project, as files in Git: `approvals/<environment>/<digest>/<who>.json`. */
export class ApprovalFiles {
  readonly #folder: string;

  /** @param project folder of Pulumi.yaml */
  constructor(project: string) {
    this.#folder = join(project, "approvals");
  }

  /** OpenSSH's allowed-signers file; a person's roles are further principals of their key. */
  get allowedSigners(): string {
    return join(this.#folder, "allowed-signers");
  }

  /** @returns the path that has to be committed */
  async write(approval: SignedApproval): Promise<string> {
    const { environment, digest, who } = approval.statement;
    const folder = join(this.#folder, environment, digest);
    await mkdir(folder, { recursive: true });
    const path = join(folder, `${who.replaceAll(/[^\w.-]/g, "_")}.json`);
    await writeFile(path, `${JSON.stringify(approval, null, 2)}\n`);
    return path;
  }

  /** Every approval of an environment, whatever its digest: one for another preview is worth a word. @throws for a file that is none */
  async read(environment: string): Promise<CheckedApproval[]> {
    const found: CheckedApproval[] = [];
    // Beside the digests lie the signed items of checklists, by pin.
    const digests = (await entries(join(this.#folder, environment))).filter((name) => !name.includes("@"));
    for (const digest of digests)
      for (const name of await entries(join(this.#folder, environment, digest))) {
        const path = join(this.#folder, environment, digest, name);
        const approval = parseApproval(await readFile(path, "utf8"), path);
        found.push({ statement: approval.statement, ...(await checkSignature(approval, this.allowedSigners)) });
      }
    return found;
  }
}

/** Names in a folder, in the order of their bytes; none when it is not there. */
export async function entries(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
    return [];
  });
  return names.sort();
}
