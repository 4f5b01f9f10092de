/**
 * Text from releases, servers and branches inside of Markdown: it is shown as it is and does nothing. It opens no element, calls
 * nobody, links nowhere, and leaves neither its line nor its block.
 */

/** Control, formatting and direction characters, and halves of pairs: nobody sees them, and they can hide or turn what one reads. */
const invisible =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;

/** One line without what cannot be seen. @param longest characters kept; beyond them the text ends in `...` */
export function cleanLine(text: string, longest = 600): string {
  const line = withoutEscapes(text).replaceAll(/\s+/gu, " ").replaceAll(invisible, "").trim();
  const signs = [...line];
  return signs.length > longest ? `${signs.slice(0, longest - 3).join("")}...` : line;
}

/** Plain words in a line of Markdown. */
export function inline(text: string, longest?: number): string {
  return (
    cleanLine(text, longest)
      .replaceAll(/[\\`*_[\]|~#!$^]/g, "\\$&")
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replace(/^([-+=])/, "\\$1")
      .replace(/^(\d+)([.)])/, "$1\\$2")
      // After a zero-width space GitHub sees neither a name to call, nor an address, nor an issue.
      .replaceAll(/(?<!\w)@(?=[\w-])|@(?=[\w-]+\.)/g, "@\u200b")
      .replaceAll("://", ":\u200b//")
      .replaceAll(/www\./gi, (found) => `${found.slice(0, -1)}\u200b.`)
      .replaceAll(/\\#(?=\d)/g, "\\#\u200b")
      .replaceAll(/GH-(?=\d)/gi, "$&\u200b")
  );
}

/** A name or a value as code; a table's cell may hold it too. */
export function code(text: string, longest?: number): string {
  const line = cleanLine(text, longest).replaceAll("|", "\u00a6");
  if (line === "") return "` `";
  const fence = "`".repeat(longestRun(line) + 1);
  const pad = line.startsWith("`") || line.endsWith("`") ? " " : "";
  return `${fence}${pad}${line}${pad}${fence}`;
}

/** Lines as a block of code. */
export function fenced(text: string): string {
  const lines = withoutEscapes(text)
    .split(/\r\n|[\n\r\u2028\u2029]/u)
    .map((line) => line.replaceAll(invisible, "").trimEnd());
  const body = lines.join("\n");
  const fence = "`".repeat(Math.max(3, longestRun(body) + 1));
  return `${fence}text\n${body}\n${fence}`;
}

/** Terminal sequences go as a whole: what is left of a cut one would be read as text. */
function withoutEscapes(text: string): string {
  return text.replaceAll(/\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g, "");
}

function longestRun(text: string): number {
  return Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
}
