import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { approvalNamespace, signedText } from "./statement.ts";
import type { ApprovalStatement, SignedApproval } from "./statement.ts";

/**
 * Signs with a key on disk, or with the agent's when the file is a public key. Asks for the passphrase on the terminal.
 * @throws what ssh-keygen says
 */
export async function signApproval(statement: ApprovalStatement, keyFile: string): Promise<SignedApproval> {
  return withFolder(async (folder) => {
    const path = join(folder, "statement");
    await writeFile(path, signedText(statement));
    const ran = await execa("ssh-keygen", ["-q", "-Y", "sign", "-f", keyFile, "-n", approvalNamespace, path], {
      reject: false,
      stdin: "inherit",
    });
    if (ran.exitCode !== 0) throw new Error(`ssh-keygen could not sign with ${keyFile}: ${ran.stderr || ran.message}`);
    return { statement, signature: await readFile(`${path}.sig`, "utf8") };
  });
}

/** What ssh-keygen finds out about one approval. */
export interface SignatureFinding {
  /** The key that signed, e.g. `SHA256:...`; undefined when the signature is not over this statement. */
  readonly fingerprint: string | undefined;
  /** The allowed-signers file lists that key for the person, and for the role. */
  readonly isPerson: boolean;
  readonly hasRole: boolean;
}

/**
 * Checks a signature against the allowed-signers file of Git: a key is listed there with its person and its roles as
 * principals, e.g. `ana,release-manager ssh-ed25519 AAAA...`. Expiry (`valid-before`) is judged by ssh-keygen.
 */
export async function checkSignature(approval: SignedApproval, allowedSigners: string): Promise<SignatureFinding> {
  return withFolder(async (folder) => {
    const path = join(folder, "signature");
    await writeFile(path, approval.signature);
    const input = signedText(approval.statement);
    const ask = (...words: string[]) =>
      execa("ssh-keygen", ["-Y", ...words, "-n", approvalNamespace, "-s", path], { input, reject: false });
    const known = await ask("check-novalidate");
    const fingerprint = known.exitCode === 0 ? /(SHA256:[\w+/=]+)/.exec(known.stdout)?.[1] : undefined;
    const isListed = async (principal: string) =>
      fingerprint !== undefined && (await ask("verify", "-f", allowedSigners, "-I", principal)).exitCode === 0;
    const { who, role } = approval.statement;
    return { fingerprint, isPerson: await isListed(who), hasRole: await isListed(role) };
  });
}

async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "coordinator-approval-"));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
