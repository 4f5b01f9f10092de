import { relative } from "node:path";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { getRelease } from "../releases/catalog.ts";
import { allItemsToSign } from "../releases/checklist.ts";
import { parseEnvironment } from "../releases/environment.ts";
import { pinOf } from "../releases/pin.ts";
import type { Release } from "../releases/release.ts";
import { ApprovalFiles } from "./approval/approval-files.ts";
import { checkSignature, signStatement } from "./approval/ssh-signature.ts";
import { operatorName } from "./operator.ts";
import { Refusal } from "./outcome.ts";
import type { Report } from "./outcome.ts";
import { openStackFile, projectFolder, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { parseSignOff, signOffNamespace } from "./sign-off/sign-off.ts";
import { SignOffFiles } from "./sign-off/sign-off-files.ts";
import { runCommand } from "./terminal.ts";

interface SignOptions extends CommonOptions {
  readonly role: string;
  readonly key: string;
  readonly as?: string;
  readonly found?: string;
}

export function registerSign(program: Command, surroundings: Surroundings): void {
  withCommonOptions(
    program
      .command("sign <release> <item>")
      .description("say of a checklist item that no command proves that it is done"),
  )
    .requiredOption("--role <role>", "role you sign in, as approvals.checklist of the stack file asks for it")
    .requiredOption("--key <file>", "SSH key to sign with; a public key means the agent's")
    .option("--found <text>", "what you looked at and found, e.g. a ticket; everybody who reads the plan sees it", line)
    .option("--as <name>", "your name in approvals/allowed-signers (default: RC_OPERATOR, else your login)")
    .addHelpText(
      "after",
      `
Writes approvals/<env>/<pin>/<item>.<name>.json: commit it. Asks no server. It holds for this content of the release in this
environment. coordinator checklist shows every item, and who has signed it.

Example:
  coordinator sign r2 security-review --env prod --role security --found "SEC-12" --key ~/.ssh/id_ed25519`,
    )
    .action(async (release: string, item: string, options: SignOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => sign(release, item, options, surroundings)));
    });
}

/** @throws {Refusal} no-go when the signature would not count: key not listed, or not in that role; nothing is written then */
export async function sign(
  wanted: string,
  item: string,
  options: SignOptions,
  surroundings: Surroundings,
): Promise<Report> {
  const file = await openStackFile(options, surroundings);
  const { name: environment } = parseEnvironment(file.environment(), file.path);
  const project = await projectFolder(surroundings.folder);
  const to = getRelease(wanted.split("@")[0] ?? wanted);
  const { text: says } = knownItem(to, item);
  const { role, key, found = "" } = options;
  const who = options.as ?? operatorName();
  const at = new Date().toISOString();
  const statement = { format: 1, environment, release: pinOf(to), item, found, role, who, at } as const;
  const signed = await signStatement(statement, key, signOffNamespace);
  // What could not be read back later is refused now.
  const signOff = parseSignOff(JSON.stringify(signed), "this signature");
  const { allowedSigners } = new ApprovalFiles(project);
  const { isPerson, hasRole, fingerprint } = await checkSignature(signOff, allowedSigners, signOffNamespace);
  if (!isPerson || !hasRole) {
    throw new Refusal("no-go", [
      `the key ${fingerprint ?? key} is not listed for ${[...(isPerson ? [] : [who]), ...(hasRole ? [] : [`the role ${role}`])].join(" and ")} ` +
        `in approvals/allowed-signers; add a line there, reviewed like code: ${who},${role} <public key>`,
      "nothing was written",
    ]);
  }
  const path = relative(project, await new SignOffFiles(project).write(signOff));
  const text = `${who} signs ${item} of ${pinOf(to)} in ${environment} as ${role}: ${says}\ncommit it: git add ${path}`;
  return { outcome: "go", text, data: { statement, path } };
}

function knownItem(to: Release, item: string) {
  const items = allItemsToSign(to);
  const known = items.find(({ id }) => id === item);
  if (known !== undefined) return known;
  const all = items.map(({ id }) => id).join(", ") || "none";
  throw new Error(`${to.id} has no item ${item} that a person signs; allowed: ${all}`);
}

function line(value: string): string {
  if (value.length <= 300 && !/\p{C}/u.test(value)) return value;
  throw new InvalidArgumentError("allowed: one line of at most 300 characters, without control characters");
}
