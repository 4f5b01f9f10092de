import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { approvalNamespace } from "../../../coordinator/approval/statement.ts";
import { signStatement } from "../../../coordinator/approval/ssh-signature.ts";
import { judgeSignOffs } from "../../../coordinator/sign-off/judge-sign-offs.ts";
import type { SignOffQuestion } from "../../../coordinator/sign-off/judge-sign-offs.ts";
import { SignOffFiles } from "../../../coordinator/sign-off/sign-off-files.ts";
import { signOffNamespace } from "../../../coordinator/sign-off/sign-off.ts";
import type { SignOff, SignOffStatement } from "../../../coordinator/sign-off/sign-off.ts";
import type { DrillCase } from "../drill.ts";
import { getSigners } from "./signers.ts";
import type { Signers } from "./signers.ts";

const statement: SignOffStatement = {
  format: 1,
  environment: "prod",
  release: "r2@222222222222",
  item: "security-review",
  found: "SEC-12",
  role: "security",
  who: "ben",
  at: "2027-01-18T09:00:00.000Z",
};
const question: SignOffQuestion = { ...statement, minimum: 1, roles: ["security"], authors: ["ana"] };

type Make = (signers: Signers) => Promise<readonly string[]>;

function sign(signers: Signers, change: Partial<SignOffStatement> = {}, key = change.who ?? "ben"): Promise<SignOff> {
  return signStatement({ ...statement, ...change }, signers.key(key), signOffNamespace);
}

/** Judges files that lie where the item's signatures are looked for, and takes them away again. */
async function judge(signers: Signers, texts: readonly string[], asked: Partial<SignOffQuestion> = {}) {
  const project = dirname(dirname(signers.files.allowedSigners));
  const folder = join(project, "approvals", "prod", statement.release);
  await mkdir(folder, { recursive: true });
  try {
    for (const [nth, text] of texts.entries()) await writeFile(join(folder, `${nth}.json`), text);
    const found = await new SignOffFiles(project).read("prod", statement.release);
    return judgeSignOffs({ ...question, ...asked }, found);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A signed item that must not count, and why not. A sound one counts beside it, so that the drill can fail. */
function refused(title: string, reason: RegExp, make: Make, asked: Partial<SignOffQuestion> = {}): DrillCase {
  return {
    title,
    async run() {
      const signers = await getSigners();
      const verdict = await judge(signers, await make(signers), asked);
      assert.equal(verdict.isSigned, false, "it counts");
      assert.match(verdict.reasons.join("\n"), reason);
      assert.equal((await judge(signers, [JSON.stringify(await sign(signers))])).isSigned, true, "a sound one counts");
    },
  };
}

const json = async (...words: Parameters<typeof sign>) => JSON.stringify(await sign(...words));

export const signOffCases: readonly DrillCase[] = [
  ...(["item", "release", "found", "at", "who"] as const).map((field) =>
    refused(`a signed item whose ${field} was edited`, /the signature is not over what it says/, async (signers) => {
      const signed = await sign(signers, { item: field === "item" ? "preview" : statement.item });
      return [
        JSON.stringify({ ...signed, statement: { ...statement, [field]: field === "item" ? statement.item : "x" } }),
      ];
    }),
  ),
  refused("an approval's signature put under an item", /the signature is not over what it says/, async (signers) => [
    JSON.stringify(await signStatement(statement, signers.key("ben"), approvalNamespace)),
  ]),
  refused("an item of another environment, replayed here", /it is for staging/, async (signers) => [
    await json(signers, { environment: "staging" }),
  ]),
  refused(
    "an item of the same release with another content, replayed",
    /it is for r2@000000000000/,
    async (signers) => [await json(signers, { release: "r2@000000000000" })],
  ),
  refused("an item signed with a key that nobody listed", /the key is not listed for ben/, async (signers) => [
    await json(signers, {}, "mallory"),
  ]),
  refused("an item signed with a key that has expired", /the key is not listed for late/, async (signers) => [
    await json(signers, { who: "late" }),
  ]),
  refused("an item signed by the author of the change", /nobody signs for their own change/, async (signers) => [
    await json(signers, { who: "ana" }),
  ]),
  refused("an item signed in a role that is not asked", /release-manager is not asked/, async (signers) => [
    await json(signers, { who: "cleo", role: "release-manager" }),
  ]),
  refused(
    "an item signed by one person with two keys",
    /ben has signed already/,
    async (signers) => [await json(signers), await json(signers, { at: "2027-01-18T10:00:00.000Z" }, "ben2")],
    { minimum: 2 },
  ),
  {
    title: "a signature of another item: it neither counts nor is spoken of",
    async run() {
      const signers = await getSigners();
      const verdict = await judge(signers, [await json(signers, { item: "preview" })]);
      assert.deepEqual([verdict.isSigned, verdict.by, verdict.reasons], [false, [], []]);
    },
  },
  ...(
    [
      ["no JSON", /is no JSON; remove .* and sign again/, (text: string) => text.slice(1)],
      [
        "a field too many",
        /statement\.also is not allowed/,
        (text: string) => text.replace('"format"', '"also":1,"format"'),
      ],
      [
        "two lines of control characters as what was found",
        /statement\.found must be a line/,
        (text: string) => text.replace("SEC-12", "\\u001b[2J\\n"),
      ],
    ] as const
  ).map(([what, reason, edit]): DrillCase => ({
    title: `a signed item with ${what}`,
    async run() {
      const signers = await getSigners();
      await assert.rejects(judge(signers, [edit(await json(signers))]), reason);
    },
  })),
];
