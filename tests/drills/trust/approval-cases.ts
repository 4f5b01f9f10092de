import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { execa } from "execa";
import { approvalNamespace, signedText } from "../../../coordinator/approval/statement.ts";
import type { ApprovalStatement } from "../../../coordinator/approval/statement.ts";
import type { ApprovalQuestion } from "../../../coordinator/approval/judge-approvals.ts";
import type { SeededRandom } from "../../workload/seeded-random.ts";
import type { DrillCase } from "../drill.ts";
import { getSigners, statement } from "./signers.ts";
import type { Signers } from "./signers.ts";

type Texts = (signers: Signers, random: SeededRandom) => Promise<readonly string[]>;

/** Approvals that must not count, and why they are said not to. A sound one counts beside them, so that the drill can fail. */
function refused(title: string, reason: RegExp, texts: Texts, asked: Partial<ApprovalQuestion> = {}): DrillCase {
  return {
    title,
    async run(_stage, random) {
      const signers = await getSigners();
      const verdict = await signers.judge(await texts(signers, random), asked);
      assert.equal(verdict.isApproved, false, "it counts");
      assert.match(verdict.reasons.join("\n"), reason);
      assert.equal(
        (await signers.judge([JSON.stringify(await signers.sign())])).isApproved,
        true,
        "a sound one counts",
      );
    },
  };
}

/** A folder of approvals that cannot be read at all: the command says which file. */
function unreadable(
  title: string,
  reason: RegExp,
  text: (signers: Signers, random: SeededRandom) => Promise<string>,
): DrillCase {
  return {
    title,
    async run(_stage, random) {
      const signers = await getSigners();
      await assert.rejects(signers.judge([await text(signers, random)]), reason);
    },
  };
}

const json = async (signers: Signers, change: Partial<ApprovalStatement> = {}, key?: string) =>
  JSON.stringify(await signers.sign(change, key));

const forgeries: Readonly<Record<string, (random: SeededRandom) => Partial<ApprovalStatement>>> = {
  environment: () => ({ environment: "dev" }),
  release: (random) => ({ release: `r2@${String(random.below(1e9)).padStart(12, "0")}` }),
  digest: (random) => ({
    digest: random
      .below(2 ** 31)
      .toString(16)
      .padStart(16, "0"),
  }),
  rows: (random) => ({ rows: 1001 + random.below(1e6) }),
  tenants: (random) => ({ tenants: 11 + random.below(1000) }),
  role: () => ({ role: "release-manager" }),
  who: () => ({ who: "cleo" }),
  at: () => ({ at: "2027-01-19T09:00:00.000Z" }),
};

export const approvalCases: readonly DrillCase[] = [
  ...Object.entries(forgeries).map(([field, edit]) =>
    refused(
      `an approval whose ${field} was edited after it was signed`,
      /its signature is not over what it says/,
      async (signers, random) => {
        const signed = await signers.sign();
        return [JSON.stringify({ ...signed, statement: { ...signed.statement, ...edit(random) } })];
      },
    ),
  ),
  refused(
    "an approval with the signature of another one",
    /its signature is not over what it says/,
    async (signers) => {
      const { signature } = await signers.sign({ digest: "0".repeat(16) });
      return [JSON.stringify({ statement, signature })];
    },
  ),
  refused("an approval whose signature was made for Git", /its signature is not over what it says/, async (signers) => {
    const { stdout } = await execa("ssh-keygen", ["-q", "-Y", "sign", "-f", signers.key("ben"), "-n", "git"], {
      input: signedText(statement),
      stripFinalNewline: false,
    });
    assert.notEqual(approvalNamespace, "git");
    return [JSON.stringify({ statement, signature: stdout })];
  }),
  refused(
    "an approval whose signature was cut off",
    /its signature is not over what it says/,
    async (signers, random) => {
      const { signature } = await signers.sign();
      return [JSON.stringify({ statement, signature: signature.slice(0, 40 + random.below(100)) })];
    },
  ),
  refused("an approval by a key that nobody listed", /its key is not listed for ben/, async (signers) => [
    await json(signers, {}, "mallory"),
  ]),
  refused("an approval by somebody else's listed key", /its key is not listed for ben/, async (signers) => [
    await json(signers, {}, "cleo"),
  ]),
  refused("an approval by a key that has expired", /its key is not listed for late/, async (signers) => [
    await json(signers, { who: "late" }),
  ]),
  refused("an approval by a key that is not valid yet", /its key is not listed for early/, async (signers) => [
    await json(signers, { who: "early" }),
  ]),
  refused("an approval by a key that may sign for Git only", /its key is not listed for otherwise/, async (signers) => [
    await json(signers, { who: "otherwise" }),
  ]),
  refused(
    "an approval in a role that the key is not listed for",
    /not listed for the role release-manager/,
    async (signers) => [await json(signers, { role: "release-manager" })],
  ),
  refused("an approval in a role that nobody asks for", /release-manager is not asked/, async (signers) => [
    await json(signers, { who: "cleo", role: "release-manager" }),
  ]),
  refused("an approval of another environment, replayed here", /it is for staging/, async (signers) => [
    await json(signers, { environment: "staging" }),
  ]),
  refused("an approval of the release before, replayed", /it is for r1@111111111111/, async (signers) => [
    await json(signers, { release: "r1@111111111111" }),
  ]),
  refused("an approval of the same release with another content", /it is for r2@000000000000/, async (signers) => [
    await json(signers, { release: "r2@000000000000" }),
  ]),
  refused("an approval of an earlier preview", /the preview is 5f0c2a91b7e4d388 now/, async (signers, random) => [
    await json(signers, { digest: (random.below(2 ** 31) + 1).toString(16).padStart(16, "0") }),
  ]),
  refused(
    "one approval in two files",
    /ben has approved already/,
    async (signers) => {
      const text = await json(signers);
      return [text, text];
    },
    { minimum: 2 },
  ),
  refused(
    "two approvals of one person with two keys",
    /ben has approved already/,
    async (signers) => [await json(signers), await json(signers, { at: "2027-01-18T10:00:00.000Z" }, "ben2")],
    { minimum: 2 },
  ),
  refused("an approval by the author of the change", /nobody approves their own change/, async (signers) => [
    await json(signers, { who: "ana" }),
  ]),
  refused(
    "an approval of fewer rows than would move now",
    /1000 rows were shown, it would move 1501 now/,
    async (signers) => [await json(signers)],
    { rows: 1501 },
  ),
  refused(
    "an approval of fewer tenants than would move now",
    /10 tenants were shown, it would move 16 now/,
    async (signers) => [await json(signers)],
    { tenants: 16 },
  ),
  refused(
    "a quorum in which one role is missing",
    /nobody approved as release-manager/,
    async (signers) => [await json(signers)],
    {
      roles: ["security", "release-manager"],
    },
  ),
  {
    title: "an approval by a key that was taken off the list",
    async run() {
      const signers = await getSigners();
      const text = await json(signers);
      assert.equal((await signers.judge([text])).isApproved, true);
      await signers.list("ben");
      try {
        assert.equal((await signers.judge([text])).isApproved, false);
        await rm(signers.files.allowedSigners);
        assert.equal((await signers.judge([text])).isApproved, false, "no list, no signer");
      } finally {
        await signers.list();
      }
    },
  },
  {
    title: "approvals re-ordered, with sound and bad ones between: the same people count",
    async run(_stage, random) {
      const signers = await getSigners();
      const texts = [
        await json(signers),
        await json(signers, { who: "cleo", role: "release-manager" }),
        await json(signers, { digest: "0".repeat(16) }),
        await json(signers, { who: "ana" }),
      ];
      const asked = { minimum: 2, roles: ["security", "release-manager"] };
      const order = [...texts].sort(() => random.next() - 0.5);
      for (const some of [texts, order, order.toReversed()]) {
        const verdict = await signers.judge(some, asked);
        assert.deepEqual([verdict.isApproved, verdict.by.map(({ who }) => who).sort()], [true, ["ben", "cleo"]]);
      }
    },
  },
  unreadable("an approval that is no JSON", /is no JSON; remove .* and approve again/, async (signers, random) =>
    (await json(signers)).slice(0, random.below(200)),
  ),
  unreadable("an approval with a field too many", /statement\.also is not allowed/, async (signers) => {
    const signed = await signers.sign();
    return JSON.stringify({ ...signed, statement: { ...signed.statement, also: "prod" } });
  }),
  unreadable("an approval of an unknown format", /statement\.format must be 1/, async (signers) => {
    const signed = await signers.sign();
    return JSON.stringify({ ...signed, statement: { ...signed.statement, format: 2 } });
  }),
  unreadable(
    "an approval whose name holds control characters and a path",
    /statement\.who must be a text/,
    async (signers) => {
      const signed = await signers.sign();
      return JSON.stringify({ ...signed, statement: { ...signed.statement, who: "../../\u001b[2Jben" } });
    },
  ),
  unreadable("an approval of a negative number of rows", /statement\.rows must be a count/, async (signers) => {
    const signed = await signers.sign();
    return JSON.stringify({ ...signed, statement: { ...signed.statement, rows: -1 } });
  }),
];
