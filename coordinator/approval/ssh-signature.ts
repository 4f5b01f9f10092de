import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { approvalNamespace, signedText } from "./statement.ts";
import type { ApprovalStatement, SignedApproval } from "./statement.ts";
import type { Signed } from "./signed-statement.ts";

/** Signs an approval. @throws what ssh-keygen says */
export function signApproval(statement: ApprovalStatement, keyFile: string): Promise<SignedApproval> {
  return signStatement(statement, keyFile, approvalNamespace);
}

/**
 * Signs with a key on disk, or with the agent's when the file is a public key. Asks for the passphrase on the terminal.
 * @param namespace what the signature is good for; it counts for nothing else
 * @throws what ssh-keygen says
 */
export async function signStatement<Statement extends object>(
  statement: Statement,
  keyFile: string,
  namespace: string,
): Promise<Signed<Statement>> {
  return withFolder(async (folder) => {
    const path = join(folder, "statement");
    await writeFile(path, signedText(statement));
    const ran = await execa("ssh-keygen", ["-q", "-Y", "sign", "-f", keyFile, "-n", namespace, path], {
      reject: false,
      stdin: "inherit",
    });
    if (ran.exitCode !== 0) throw new Error(`ssh-keygen could not sign with ${keyFile}: ${ran.stderr || ran.message}`);
    return { statement, signature: await readFile(`${path}.sig`, "utf8") };
  });
}

/** What ssh-keygen finds out about one signed statement. */
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
 * @param namespace the one it must have been signed for @default that of approvals
 */
export async function checkSignature(
  signed: Signed<{ readonly who: string; readonly role: string }>,
  allowedSigners: string,
  namespace = approvalNamespace,
): Promise<SignatureFinding> {
  return withFolder(async (folder) => {
    const path = join(folder, "signature");
    await writeFile(path, signed.signature);
    const input = signedText(signed.statement);
    const ask = (...words: string[]) =>
      execa("ssh-keygen", ["-Y", ...words, "-n", namespace, "-s", path], { input, reject: false });
    const known = await ask("check-novalidate");
    const fingerprint = known.exitCode === 0 ? /(SHA256:[\w+/=]+)/.exec(known.stdout)?.[1] : undefined;
    const isListed = async (principal: string) =>
      fingerprint !== undefined && (await ask("verify", "-f", allowedSigners, "-I", principal)).exitCode === 0;
    const { who, role } = signed.statement;
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
