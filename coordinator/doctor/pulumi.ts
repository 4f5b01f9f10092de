import { execFile } from "node:child_process";
import { createDecipheriv, pbkdf2 } from "node:crypto";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { parse } from "yaml";
import type { StackFile } from "../stack-file.ts";
import { fine, looked, missing, toDecide } from "./finding.ts";
import type { Finding } from "./finding.ts";

interface StackSettings {
  readonly encryptionsalt?: string;
  readonly secretsprovider?: string;
}

/** The CLI, the backend with this stack in it, and the passphrase, before Pulumi itself stumbles over them one by one. */
export async function lookAtPulumi(file: StackFile, env: string, workDir: string): Promise<Finding[]> {
  const pulumi = (...words: string[]) =>
    promisify(execFile)("pulumi", [...words, "--non-interactive"], { cwd: workDir, timeout: 30_000 });
  const version = await pulumi("version").catch(() => undefined);
  if (version === undefined)
    return [missing("pulumi", "no pulumi on PATH", "source .local/env, or install the version of package.json")];
  return [
    fine("pulumi", `CLI ${version.stdout.trim()}`),
    ...(await looked("backend", "pulumi login <url>, or set PULUMI_BACKEND_URL", async () => {
      const { stdout } = await pulumi("stack", "ls", "--json");
      const stacks = (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name.split("/").at(-1));
      return stacks.includes(env)
        ? [fine("backend", `reachable, has stack ${env}`)]
        : [missing("backend", `reachable, but has no stack ${env}`, `pulumi stack init ${env}`)];
    })),
    ...(await looked("passphrase", "name the right PULUMI_CONFIG_PASSPHRASE_FILE", () => lookAtPassphrase(file))),
  ];
}

/** The stack file's salt holds a known text under the passphrase: opening it proves the passphrase without any state. */
async function lookAtPassphrase(file: StackFile): Promise<Finding[]> {
  const subject = "passphrase";
  const { encryptionsalt: salt, secretsprovider: provider } = parse(file.text()) as StackSettings;
  if (provider !== undefined && !provider.startsWith("passphrase")) return [fine(subject, `none needed: ${provider}`)];
  const passphrase = await findPassphrase();
  if (passphrase === undefined)
    return [
      missing(subject, "neither PULUMI_CONFIG_PASSPHRASE nor .._FILE is set", "set one of them: source .local/env"),
    ];
  if (salt === undefined)
    return [toDecide(subject, `${file.path} has no encryptionsalt yet`, "pulumi stack init writes it: commit it")];
  return (await opensSalt(salt, passphrase))
    ? [fine(subject, "opens the stack file's salt")]
    : [missing(subject, "is not the one the stack was made with", "name the right PULUMI_CONFIG_PASSPHRASE_FILE")];
}

async function findPassphrase(): Promise<string | undefined> {
  const { PULUMI_CONFIG_PASSPHRASE: literal, PULUMI_CONFIG_PASSPHRASE_FILE: path } = process.env;
  if (literal !== undefined && literal !== "") return literal;
  return path === undefined || path === "" ? literal : (await readFile(path, "utf8")).trim();
}

/**
 * `v1:<salt>:v1:<nonce>:<sealed>`: AES-256-GCM under PBKDF2-SHA256 with a million rounds, of the text `pulumi`. Source:
 * pulumi/pulumi, sdk/go/common/resource/config/crypt.go and pkg/secrets/passphrase.
 */
async function opensSalt(text: string, passphrase: string): Promise<boolean> {
  const [, salt = "", , nonce = "", sealed = ""] = text.split(":");
  const key = await promisify(pbkdf2)(passphrase, Buffer.from(salt, "base64"), 1_000_000, 32, "sha256");
  const bytes = Buffer.from(sealed, "base64");
  try {
    const cipher = createDecipheriv("aes-256-gcm", key, Buffer.from(nonce, "base64"));
    cipher.setAuthTag(bytes.subarray(-16));
    return Buffer.concat([cipher.update(bytes.subarray(0, -16)), cipher.final()]).toString() === "pulumi";
  } catch {
    return false;
  }
}
