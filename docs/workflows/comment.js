// Makes the part of a preview comment that speaks of one environment, from what `coordinator diff --json` printed:
//   node docs/workflows/comment.js <environment> <exit code> <diff.json> <diff.log>
// What must be read stands outside of the fold. Always under 20 KB, so that three environments fit into one comment.
import { readFileSync } from "node:fs";

const limitBytes = 20_000;
const outcomes = { 0: "may go", 1: "**error**", 2: "**no-go**", 3: "**needs a human or time**" };

const [environment, code, jsonFile, logFile] = process.argv.slice(2);
const log = readFileSync(logFile, "utf8");
const diff = parse(readFileSync(jsonFile, "utf8"));

/** The last sizes of the fold are tried until the whole fits: the resources go before the reasons. */
for (const shown of [200, 50, 10, 0]) {
  const text = comment(shown);
  if (Buffer.byteLength(text) > limitBytes && shown > 0) continue;
  process.stdout.write(Buffer.byteLength(text) > limitBytes ? `${cut(text)}\n\nCut: see the log of this job.\n` : text);
  break;
}

function comment(shown) {
  const head = `### ${environment}: ${outcomes[code] ?? `**exit code ${code}**`}\n`;
  if (diff?.waysBack === undefined) return [head, fenced(reasons() || tail(log, 40)), ""].join("\n");
  const changes = diff.resources ?? [];
  return [
    head,
    ...(diff.releases.length === 0 ? ["No wave changes its pin."] : diff.releases.map(move)),
    "",
    ...diff.positions.map(
      ({ mirror, position, tenants, rows, dirty }) =>
        `- \`${mirror}\` is ${position} for ${tenants} tenants: ${rows} rows, ${dirty} to drain`,
    ),
    "",
    "**Can I go back, once this has run?**",
    "",
    ...diff.waysBack.map(wayBack),
    "",
    ...(diff.notes.length === 0 ? [] : [...diff.notes.slice(0, 20).map((note) => `> ${plain(note)}`), ""]),
    `<details><summary>${changes.length} resources change</summary>`,
    "",
    fenced(changes.slice(0, shown).map(change).join("\n") || "none"),
    ...(changes.length > shown ? [`and ${changes.length - shown} more`] : []),
    "</details>",
    "",
    ...(diff.digest ? [`Approval digest: \`${diff.digest}\``, ""] : []),
  ].join("\n");
}

function move({ waves, diff: { from, to, services, flags, mirrors, schema } }) {
  const lines = [
    ...services.map((each) => `${each.name} ${each.from ?? "absent"} -> ${each.to ?? "absent"}`),
    ...(schema.from === schema.expandTo ? [] : [`schema ${schema.from ?? "none"} -> ${schema.expandTo}`]),
    ...flags.map((flag) => `flag ${flag.key} ${flag.to ? "on" : "off"}`),
    ...mirrors.map((each) => `data: authority of ${each.mirror} moves to the ${each.to}`),
  ];
  const head = `Waves **${waves.join(", ")}**: ${from ?? "nothing"} -> ${to}`;
  return [head, "", ...lines.map((line) => `- ${line}`)].join("\n");
}

function wayBack({ wave, from, to, outcome, seconds, secondsAfterFinalize, reasons: why }) {
  if (to === undefined) return `- ${wave}: no way back from \`${from}\`: ${why.join("; ")}`;
  const time = (value) =>
    value === undefined || value === null ? "nobody measured how long" : `about ${Math.ceil(value)} s`;
  const answer =
    outcome === "go"
      ? `yes, ${time(seconds)}`
      : outcome === "no-go"
        ? "**no**"
        : `only if somebody decides so, ${time(seconds)}`;
  const later = secondsAfterFinalize === seconds ? "" : `; once finalized ${time(secondsAfterFinalize)}`;
  return `- ${wave}: from \`${from}\` to \`${to}\`: ${answer}${later}${why.map((reason) => `\n  - ${plain(reason)}`).join("")}`;
}

function change({ op, type, name, diffs }) {
  return `${op.padEnd(8)} ${type} ${name}${diffs.length === 0 ? "" : ` (${diffs.slice(0, 6).join(", ")})`}`;
}

/** Reasons of a refusal or a fault. */
function reasons() {
  const found = diff?.reasons ?? diff?.error ?? diff?.message;
  return Array.isArray(found) ? found.join("\n") : found;
}

/** What came from a server or a branch must neither end the block nor call people. */
function fenced(text) {
  return `\`\`\`\n${text.replaceAll("```", "'''")}\n\`\`\``;
}

function plain(text) {
  return text.replaceAll("<", "&lt;").replaceAll("@", "@\u200b").replaceAll("\n", " ");
}

function tail(text, lines) {
  return text.trimEnd().split("\n").slice(-lines).join("\n") || "no output";
}

function cut(text) {
  return Buffer.from(text).subarray(0, limitBytes).toString("utf8");
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
