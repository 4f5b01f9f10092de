import assert from "node:assert/strict";
import { parse } from "yaml";
import { emptyFacts } from "../../../coordinator/environment-facts.ts";
import { gate } from "../../../coordinator/gate/gate.ts";
import { checklist } from "../../../coordinator/paper/checklist.ts";
import type { PaperFacts } from "../../../coordinator/paper/paper-facts.ts";
import {
  announcement,
  changelog,
  knownIssues,
  releaseNotes,
  tenantNotes,
} from "../../../coordinator/paper/release-notes.ts";
import { releasePlan } from "../../../coordinator/paper/release-plan.ts";
import { retrospective } from "../../../coordinator/paper/retrospective.ts";
import { runbook } from "../../../coordinator/paper/runbook.ts";
import { waysBack } from "../../../coordinator/way-back.ts";
import { allReleases, getRelease } from "../../../releases/catalog.ts";
import { parseEnvironment } from "../../../releases/environment.ts";
import { pinOf } from "../../../releases/pin.ts";
import { faultOf } from "../../docs/known-commands.ts";
import { simpleCommands } from "../../docs/shell-words.ts";
import { stackText } from "../command-fixture.ts";
import type { EvidenceFacts } from "../../../coordinator/evidence/evidence-entry.ts";
import { MemoryFiles, factsOf } from "../evidence/evidence-fixture.ts";

const to = getRelease("r2");
const [r1, r2] = [pinOf(getRelease("r1")), pinOf(to)];
const raw = (parse(stackText) as { config: Record<string, object> }).config["release-coordinator:environment"] ?? {};
const environment = parseEnvironment({
  ...raw,
  planned: { r2: "2027-01-18" },
  waves: [
    { name: "canary", selector: { tags: ["canary"] }, soakHours: 24 },
    { name: "general", selector: { rest: true } },
  ],
});
const facts = {
  ...emptyFacts(environment),
  waves: new Map([
    ["canary", [{ id: "acme", pin: r1, states: [] } as never]],
    ["general", []],
  ]),
  holds: [
    {
      id: 1,
      environment: "dev",
      hashes: [],
      who: "ben",
      why: "audit <b>\n# Approved",
      since: new Date("2027-01-17T09:00:00Z"),
    },
  ],
};
const pins = { canary: { now: r2, back: r1 }, general: { now: r2, back: r1 } };
const paper: PaperFacts = {
  environment,
  to,
  facts,
  gates: [gate({ id: "blocker:vault-healthy", title: "t", outcome: "go", evidence: "Vault of region local: active" })],
  migrations: [
    {
      wave: "canary",
      pin: r2,
      tenants: 1,
      moving: 1,
      dirty: 0,
      mirrors: [
        {
          mirror: "prompt-encryption",
          step: "build",
          tenants: 1,
          rows: 318_220,
          bytes: 1,
          diskBytes: 1,
          seconds: 64,
          rateFrom: "measured",
          isFinalized: false,
        },
      ],
      after: [],
      obstacles: [],
    },
  ],
  waysBack: waysBack(pins, facts),
  entries: [],
  unseen: [],
  now: new Date("2027-01-18T09:00:00Z"),
};
const all = (on: PaperFacts) => ({
  notes: releaseNotes(on),
  tenant: tenantNotes(on, "acme"),
  changelog: changelog(on, allReleases()),
  announcement: announcement(on),
  plan: releasePlan(on),
  runbook: runbook(on),
  checklist: checklist(on),
  knownIssues: knownIssues(on),
  retrospective: retrospective(on),
});

describe("papers", function () {
  this.timeout(60_000);

  it("say for an environment and for a tenant what comes, what breaks, and who has it", () => {
    const { notes, tenant, changelog: changes, announcement: words } = all(paper);
    assert.match(notes, /^# Release Preview \(`r2@\w+`\) in dev\n/);
    assert.match(notes, /## What breaks\n\nNothing\.[^]*## Known issues\n\n- Prompt titles/);
    assert.match(notes, /- canary: `r1@\w+`, 1 tenants/);
    assert.match(
      tenant,
      /`acme` is in wave canary of dev and runs `r1@\w+` and moves with its wave\.\n\nPlanned for 2027-01-18\./,
    );
    assert.throws(() => tenantNotes(paper, "nobody"), /no wave of dev has the tenant nobody; coordinator status/);
    assert.match(changes, /## Release Preview 2\.0\.0[^]*## .* 1\.0\.0/);
    assert.doesNotMatch(changes, /\(`r3@/);
    assert.match(words, /Nothing that clients use goes away/);
  });

  it("plan the waves in their order with rows, minutes, soaks and the point of no instant return", () => {
    const { plan } = all(paper);
    assert.match(plan, /1\. wave canary: `r1@\w+` → `r2@\w+`, 1 tenants, 318220 rows, about 64 s/);
    assert.match(plan, /then 24 hours before the next wave\n2\. wave general/);
    assert.match(plan, /3\. when nobody wants to go back: `coordinator finalize prompt-encryption --env dev`/);
    assert.match(plan, /Vault is healthy, its audit device writes: \*\*go\*\* by machine/);
    assert.match(plan, /Security has signed: a person says so/);
  });

  it("say what is known not to be as one would like, of every release that runs", () => {
    assert.match(
      knownIssues(paper),
      /## Release Preview 2\.0\.0[^]*- `older-ciphertext`: An older ciphertext[^]*## [^\n]* 1\.0\.0 \(`r1@/,
    );
  });

  it("look back on what it really took: times, decisions, signatures, holds, and the promise on going back", async () => {
    assert.match(retrospective(paper), /Nothing yet: the evidence knows no act that concerns `r2@\w+`/);
    const window = gate({
      id: "window",
      title: "t",
      outcome: "needs-human",
      evidence: "shut",
      override: "ana: incident <b>",
    });
    const signed = gate({ id: "signed:security-review", title: "t", outcome: "go", evidence: "ben (security) signed" });
    const before = { canary: { now: r1, back: "none" }, general: { now: r1, back: "none" } };
    const acts: Partial<EvidenceFacts>[] = [
      { act: "verification", from: before, to: before, verified: [r1] },
      { phase: "begun", outcome: null },
      { outcome: "error", seconds: 30, notes: ["the disk is full"] },
      { phase: "begun", outcome: null, gates: [window, signed] },
      { seconds: 90, verified: [r2], gates: [window, signed] },
      { act: "hold", from: pins, to: pins, notes: ["dev is held: audit"] },
      { act: "rollback", from: pins, to: before, seconds: 1000 },
      { act: "finalize", phase: "begun", from: pins, to: pins, outcome: null },
    ];
    const files = new MemoryFiles();
    const start = Date.parse("2027-01-18T09:00:00Z");
    for (const [nth, act] of acts.entries()) {
      const facts = factsOf({ from: before, to: pins, ...act });
      await files.log().append(facts, undefined, new Date(start + nth * 60_000));
    }
    const { entries } = await files.log().read();
    const text = retrospective({ ...paper, entries });
    assert.match(text, /planned for: 2027-01-18; begun: 2027-01-18T09:01:00\.000Z; proven: 2027-01-18T09:04:00\.000Z/);
    assert.match(text, /from the first update to the proof: 3 min/);
    assert.match(text, /updates that were measured: 3, 19 min together/);
    assert.match(text, /went back 1 times, the longest took 17 min; the promise is 15 min: \*\*broken\*\*/);
    assert.match(text, /Decided against a gate\n\n- `window`: ana: incident &lt;b&gt;\n/);
    assert.match(text, /Approved and signed\n\n- `security-review`: ben \(security\) signed/);
    assert.match(text, /Held and rescinded meanwhile\n\n- 2027-01-18T09:05:00\.000Z hold by ana: dev is held: audit/);
    assert.match(
      text,
      /error: the disk is full\n- 2027-01-18T09:07:00\.000Z finalize: began and its end was never written/,
    );
    assert.doesNotMatch(text, /09:03:00\.000Z promotion: began/, "that one has its end");
    assert.doesNotMatch(text, /verification/, "what concerns another release is left out");
  });

  it("name only commands that exist, with this environment's values", async () => {
    for (const text of Object.values(all(paper))) {
      const spans = [...text.matchAll(/`(coordinator [^`]+)`/g)].map(([, line = ""]) => line);
      const blocks = [...text.matchAll(/```sh\n([^]*?)```/g)].flatMap(([, block = ""]) => block.trim().split("\n"));
      for (const line of [...spans, ...blocks]) {
        const [words = []] = simpleCommands(line);
        assert.equal(await faultOf(words), undefined, line);
      }
    }
    assert.match(
      runbook(paper),
      /coordinator promote r2 --env dev --wave canary\ncoordinator promote r2 --env dev --wave general/,
    );
  });

  it("say what going back does not restore, and how long it takes", () => {
    const text = runbook(paper);
    assert.match(text, /### What going back does not restore[^]*revision `0002`[^]*keys and keysets in Vault stay/);
    assert.match(text, /- wave canary: `r2@\w+` to `r1@\w+`: go/);
  });

  it("show control characters, HTML, mentions and headings of others as text that does nothing", () => {
    const evil = '\u001b[2J</details>\n\n# Approved by @security <img src="https://evil.example"> [x](javascript:1) ';
    const release = { ...to, title: evil, notes: [evil], knownIssues: [{ id: "x", text: evil }] };
    for (const text of Object.values(all({ ...paper, to: release, unseen: [evil] })).map((each) =>
      each.replaceAll(/(`+)[^\n]*?\1/g, ""),
    )) {
      assert.ok(!text.includes("\u001b"));
      assert.doesNotMatch(text, /<img|<\/details>|@security|(?<!\\)\]\(javascript|^# Approved|https:\/\/evil/m);
    }
    assert.match(runbook(paper), /by ben: audit &lt;b&gt; \\# Approved/);
  });
});
