/** Simple commands of a shell block: comments, variables before a command and redirections left out. */
export function simpleCommands(block: string): string[][] {
  const lines = block.replaceAll("\\\n", " ").split("\n");
  return lines.flatMap((line) =>
    splitOutsideQuotes(line)
      .map((part) => wordsOf(part).filter((word, index, all) => !isRedirection(word, all[index - 1])))
      .map((words) => words.slice(words.findIndex((word) => !/^[A-Za-z_]\w*=/.test(word))))
      .filter((words) => words.length > 0 && !/^[A-Za-z_]\w*=/.test(words[0] ?? "")),
  );
}

/** Cuts at `;`, `&&`, `||` and `|`, and ends at a comment. */
function splitOutsideQuotes(line: string): string[] {
  const parts = [""];
  let quote = "";
  for (let index = 0; index < line.length; index += 1) {
    const sign = line[index] ?? "";
    if (quote === "" && sign === "#" && /^$|\s/.test(line[index - 1] ?? "")) break;
    if (quote === "" && (sign === "'" || sign === '"')) quote = sign;
    else if (sign === quote) quote = "";
    if (quote === "" && /[;|&]/.test(sign) && line[index - 1] !== ">") parts.push("");
    else parts[parts.length - 1] += sign;
  }
  return parts.filter((part) => part.trim() !== "");
}

function wordsOf(part: string): string[] {
  return [...part.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g)].map(([word]) => word.replaceAll(/^(['"])(.*)\1$/g, "$2"));
}

function isRedirection(word: string, before: string | undefined): boolean {
  return /^\d?[<>]/.test(word) || /^\d?[<>]+$/.test(before ?? "");
}
