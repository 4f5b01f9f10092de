import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { ApprovalFiles } from "../../../coordinator/approval/approval-files.ts";
import { judgeApprovals } from "../../../coordinator/approval/judge-approvals.ts";
import type { ApprovalQuestion, ApprovalVerdict } from "../../../coordinator/approval/judge-approvals.ts";
import { signApproval } from "../../../coordinator/approval/ssh-signature.ts";
import type { ApprovalStatement, SignedApproval } from "../../../coordinator/approval/statement.ts";

/** Lines of the list of signers: name of the key, then what stands before it. */
const listed: Readonly<Record<string, string>> = {
  ben: "ben,security",
  ben2: "ben,security",
  cleo: "cleo,release-manager",
  ana: "ana,security,release-manager",
  late: 'late,security valid-before="20200101"',
  early: 'early,security valid-after="20990101"',
  otherwise: 'otherwise,security namespaces="git"',
};

export const statement: ApprovalStatement = {
  format: 1,
  environment: "prod",
  release: "r2@222222222222",
  digest: "5f0c2a91b7e4d388",
  rows: 1000,
  tenants: 10,
  role: "security",
  who: "ben",
  at: "2027-01-18T09:00:00.000Z",
};

const question: ApprovalQuestion = { ...statement, authors: ["ana"], minimum: 1, roles: ["security"] };

/** Real keys, a real list, and approvals as files. */
export class Signers {
  readonly #folder: string;
  readonly files: ApprovalFiles;

  private constructor(folder: string) {
    this.#folder = folder;
    this.files = new ApprovalFiles(folder);
  }

  static async make(): Promise<Signers> {
    const signers = new Signers(await mkdtemp(join(tmpdir(), "trust-drill-")));
    await mkdir(join(signers.#folder, "approvals"));
    for (const name of [...Object.keys(listed), "mallory"])
      await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", signers.key(name)]);
    await signers.list();
    return signers;
  }

  key(name: string): string {
    return join(this.#folder, `${name}.key`);
  }

  /** Writes the list of signers. @param without keys that are left out */
  async list(...without: string[]): Promise<void> {
    const lines: string[] = [];
    for (const [name, before] of Object.entries(listed))
      if (!without.includes(name)) lines.push(`${before} ${await readFile(`${this.key(name)}.pub`, "utf8")}`);
    await writeFile(this.files.allowedSigners, lines.join(""));
  }

  sign(change: Partial<ApprovalStatement> = {}, key = change.who ?? "ben"): Promise<SignedApproval> {
    return signApproval({ ...statement, ...change }, this.key(key));
  }

  /** Judges what lies in the folder, and empties it. Each text becomes a file of its own. */
  async judge(texts: readonly string[], asked: Partial<ApprovalQuestion> = {}): Promise<ApprovalVerdict> {
    const place = join(this.#folder, "approvals", "prod");
    const folder = join(place, statement.digest);
    await mkdir(folder, { recursive: true });
    try {
      for (const [nth, text] of texts.entries()) await writeFile(join(folder, `${nth}.json`), text);
      return judgeApprovals({ ...question, ...asked }, await this.files.read("prod"));
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

let shared: Promise<Signers> | undefined;

/** The same keys for all cases: making them takes longer than any case. */
export function getSigners(): Promise<Signers> {
  shared ??= Signers.make();
  return shared;
}

export async function closeSigners(): Promise<void> {
  const old = shared;
  shared = undefined;
  await (await old)?.remove();
}
