import { itemsToSign } from "../../releases/checklist.ts";
import type { ItemBefore, ItemToSign } from "../../releases/checklist.ts";
import type { Environment } from "../../releases/environment.ts";
import { pinOf } from "../../releases/pin.ts";
import type { Release } from "../../releases/release.ts";
import { programAuthors } from "../git.ts";
import { operatorName } from "../operator.ts";
import { cleanLine } from "../report/markdown-text.ts";
import { judgeSignOffs } from "../sign-off/judge-sign-offs.ts";
import type { CheckedSignOff } from "../sign-off/judge-sign-offs.ts";
import { SignOffFiles } from "../sign-off/sign-off-files.ts";
import { gate } from "./gate.ts";
import type { Gate } from "./gate.ts";

/**
 * One gate for each item of the checklist that no command proves: has a person signed it, for this very content and in this
 * environment? None where the stack file asks nobody (`approvals.checklist`). Nobody can decide against one: signing is the way.
 * @param project folder of Pulumi.yaml, in which the signed items lie
 */
export async function checklistGates(
  environment: Environment,
  to: Release,
  before: Exclude<ItemBefore, null>,
  project: string,
): Promise<Gate[]> {
  if (environment.approvals.checklist.minimum === 0) return [];
  const items = itemsToSign(to, before);
  if (items.length === 0) return [];
  const authors = [operatorName(), ...(await programAuthors(project))];
  let signOffs: CheckedSignOff[];
  try {
    signOffs = await new SignOffFiles(project).read(environment.name, pinOf(to));
  } catch (error) {
    const why = (error as Error).message;
    return [gate({ id: "signed", title: "What people signed can be read", outcome: "no-go", evidence: why })];
  }
  return items.map((item) => judged(environment, to, item, signOffs, authors));
}

function judged(
  { name, approvals }: Environment,
  to: Release,
  { id, text }: ItemToSign,
  signOffs: readonly CheckedSignOff[],
  authors: readonly string[],
): Gate {
  const { minimum, roles } = approvals.checklist;
  const question = { environment: name, release: pinOf(to), item: id, minimum, roles, authors };
  const { isSigned, by, reasons } = judgeSignOffs(question, signOffs);
  const signed = by.map(
    ({ who, role, at, found }) => `${who} (${role}) signed at ${at}${found === "" ? "" : `: ${cleanLine(found, 300)}`}`,
  );
  const made = { id: `signed:${id}`, title: text } as const;
  if (isSigned) return gate({ ...made, outcome: "go", evidence: signed.join("; ") });
  const evidence = [
    `nobody can prove it by a command, and ${by.length} of ${minimum} people have signed it${roles.length === 0 ? "" : ` as ${roles.join(" or ")}`}`,
    ...signed,
    ...reasons.map((reason) => cleanLine(reason, 300)),
    `to sign: ${signCommand(to.id, id, name, roles)}`,
  ];
  return gate({ ...made, outcome: "needs-human", evidence: evidence.join("; ") });
}

/** The command with which a person signs an item. */
export function signCommand(release: string, item: string, environment: string, roles: readonly string[]): string {
  const role = roles.length === 1 ? roles[0] : "<role>";
  return `coordinator sign ${release} ${item} --env ${environment} --role ${role} --key <file>`;
}
