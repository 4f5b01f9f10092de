import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { entries } from "../approval/approval-files.ts";
import { checkSignature } from "../approval/ssh-signature.ts";
import type { CheckedSignOff } from "./judge-sign-offs.ts";
import { parseSignOff, signOffNamespace } from "./sign-off.ts";
import type { SignOff } from "./sign-off.ts";

/** Signed items of checklists, as files in Git beside the approvals: `approvals/<environment>/<pin>/<item>.<who>.json`. */
export class SignOffFiles {
  readonly #folder: string;

  /** @param project folder of Pulumi.yaml */
  constructor(project: string) {
    this.#folder = join(project, "approvals");
  }

  /** @returns the path that has to be committed */
  async write(signOff: SignOff): Promise<string> {
    const { environment, release, item, who } = signOff.statement;
    const folder = join(this.#folder, environment, release);
    await mkdir(folder, { recursive: true });
    const path = join(folder, `${item}.${who.replaceAll(/[^\w.-]/g, "_")}.json`);
    await writeFile(path, `${JSON.stringify(signOff, null, 2)}\n`);
    return path;
  }

  /** Everything that was signed for an environment and a release. @throws for a file that is none */
  async read(environment: string, pin: string): Promise<CheckedSignOff[]> {
    const folder = join(this.#folder, environment, pin);
    const found: CheckedSignOff[] = [];
    for (const name of await entries(folder)) {
      const path = join(folder, name);
      const signed = parseSignOff(await readFile(path, "utf8"), path);
      const checked = await checkSignature(signed, join(this.#folder, "allowed-signers"), signOffNamespace);
      found.push({ statement: signed.statement, ...checked });
    }
    return found;
  }
}
