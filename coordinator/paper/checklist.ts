import { allItemsToSign } from "../../releases/checklist.ts";
import { pinOf } from "../../releases/pin.ts";
import type { Release } from "../../releases/release.ts";
import { signCommand } from "../gate/checklist-gates.ts";
import { code, inline } from "../report/markdown-text.ts";
import type { PaperFacts } from "./paper-facts.ts";
import { lines } from "./release-notes.ts";

/** The checklist of a release in one environment, each item with what proves it or who has to sign it. Markdown. */
export function checklist(paper: PaperFacts): string {
  const { environment, to, now, unseen } = paper;
  return lines([
    `# Checklist: ${code(pinOf(to))} in ${inline(environment.name)}`,
    "",
    `Rendered ${now.toISOString()}. A tick is what a command has found, or what a person has signed for this very content.`,
    ...unseen.map((each) => `Not seen: ${inline(each)}.`),
    "",
    ...checklistLines(paper),
  ]);
}

const phaseNames: Readonly<Record<keyof Release["checklist"], string>> = {
  preRelease: "Before the release",
  readiness: "Readiness",
  testing: "Testing",
  deployment: "Deployment",
  postRelease: "After the release",
};

/** The items, phase by phase. */
export function checklistLines(paper: PaperFacts): string[] {
  return Object.entries(phaseNames).flatMap(([phase, name]) => [
    `**${name}**`,
    "",
    ...paper.to.checklist[phase as keyof Release["checklist"]].map((item) => {
      const { isDone, says } = proofOf(item.gate ?? item.id, paper);
      return `- [${isDone ? "x" : " "}] ${inline(item.text)}: ${says}`;
    }),
    "",
  ]);
}

/** What a command found, or what a person signed; else who has to say so, and how. */
function proofOf(
  id: string,
  { gates, to, environment }: PaperFacts,
): { readonly isDone: boolean; readonly says: string } {
  const found = gates.find((each) => [id, `blocker:${id}`].includes(each.id));
  if (found !== undefined)
    return { isDone: found.outcome === "go", says: `**${found.outcome}** by machine, ${inline(found.evidence)}` };
  const signed = gates.find((each) => each.id === `signed:${id}`);
  if (signed !== undefined)
    return { isDone: signed.outcome === "go", says: `**${signed.outcome}**, ${inline(signed.evidence)}` };
  const gate = to.gates.find((each) => each.id === id);
  if (gate?.judge === "machine") return { isDone: false, says: `proven by the machine before ${inline(gate.before)}` };
  const isAsked = allItemsToSign(to).some((item) => item.id === id);
  const { roles } = environment.approvals.checklist;
  return {
    isDone: false,
    says: `a person says so${isAsked ? `: ${code(signCommand(to.id, id, environment.name, roles))}` : ""}`,
  };
}
