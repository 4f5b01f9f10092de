import { relative } from "node:path";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { getRelease } from "../releases/catalog.ts";
import { parseEnvironment } from "../releases/environment.ts";
import { pinOf } from "../releases/pin.ts";
import { ApprovalFiles } from "./approval/approval-files.ts";
import { checkSignature, signApproval } from "./approval/ssh-signature.ts";
import { parseApproval } from "./approval/statement.ts";
import { operatorName } from "./operator.ts";
import { Refusal } from "./outcome.ts";
import type { Report } from "./outcome.ts";
import { openStackFile, projectFolder, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { runCommand } from "./terminal.ts";

interface ApproveOptions extends CommonOptions {
  readonly digest: string;
  readonly rows: number;
  readonly tenants: number;
  readonly role: string;
  readonly as?: string;
  readonly key: string;
}

export function registerApprove(program: Command, surroundings: Surroundings): void {
  withCommonOptions(program.command("approve <release>").description("agree to a reviewed change, by a signature"))
    .requiredOption("--digest <digest>", "approval digest of the preview that you read", approvalDigestText)
    .requiredOption("--rows <count>", "rows that it showed; voided beyond 1.5 times", count)
    .requiredOption("--tenants <count>", "tenants that it showed; voided beyond 1.5 times", count)
    .requiredOption("--role <role>", "role you approve in, as the stack file asks for it")
    .requiredOption("--key <file>", "SSH key to sign with; a public key means the agent's")
    .option("--as <name>", "your name in approvals/allowed-signers (default: RC_OPERATOR, else your login)")
    .addHelpText(
      "after",
      `
Writes approvals/<env>/<digest>/<name>.json: commit it. Asks no server. The comment of the pull request prints this command.
approvals/allowed-signers is OpenSSH's file; a person's roles stand behind the name: ana,release-manager ssh-ed25519 AAAA...

Example:
  coordinator approve r2 --env prod --digest 5f0c2a91b7e4d388 --rows 318220 --tenants 12 --role security --key ~/.ssh/id_ed25519`,
    )
    .action(async (release: string, options: ApproveOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => approve(release, options, surroundings)));
    });
}

/** @throws {Refusal} no-go when the signature would not count: key not listed, or not in that role; nothing is written then */
export async function approve(wanted: string, options: ApproveOptions, surroundings: Surroundings): Promise<Report> {
  const { digest, rows, tenants, role, key } = options;
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const project = await projectFolder(surroundings.folder);
  const files = new ApprovalFiles(project);
  const who = options.as ?? operatorName();
  const at = new Date().toISOString();
  const release = pinOf(getRelease(wanted.split("@")[0] ?? wanted));
  const statement = {
    format: 1,
    environment: environment.name,
    release,
    digest,
    rows,
    tenants,
    role,
    who,
    at,
  } as const;
  const signed = await signApproval(statement, key);
  // What could not be read back later is refused now.
  const approval = parseApproval(JSON.stringify(signed), "this approval");
  const { isPerson, hasRole, fingerprint } = await checkSignature(approval, files.allowedSigners);
  if (!isPerson || !hasRole) {
    throw new Refusal("no-go", [
      `the key ${fingerprint ?? key} is not listed for ${[...(isPerson ? [] : [who]), ...(hasRole ? [] : [`the role ${role}`])].join(" and ")} ` +
        `in approvals/allowed-signers; add a line there, reviewed like code: ${who},${role} <public key>`,
      "nothing was written",
    ]);
  }
  const path = relative(project, await files.write(approval));
  const text = `${who} approves ${digest} (${release} in ${environment.name}) as ${role}\ncommit it: git add ${path}`;
  return { outcome: "go", text, data: { statement, path } };
}

function count(value: string): number {
  if (/^\d{1,15}$/.test(value)) return Number(value);
  throw new InvalidArgumentError(`"${value}" is no count; allowed: a whole number such as 318220`);
}

function approvalDigestText(value: string): string {
  if (/^[0-9a-f]{16}$/.test(value)) return value;
  throw new InvalidArgumentError(
    `"${value}" is no approval digest; allowed: the 16 hexadecimal digits that the preview shows`,
  );
}
