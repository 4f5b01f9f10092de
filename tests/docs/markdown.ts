import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryFolder } from "../../local/folders.ts";

/** One fenced block of a page. */
export interface Block {
  /** What stands behind the fence: `sh`, `yaml`, `json`, `sql`, `python`, ... */
  readonly language: string;
  readonly text: string;
  /** Line of the fence, from 1. */
  readonly line: number;
}

/** One page of the documentation. */
export interface Page {
  /** Path from the repository's folder. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  /** The text without its blocks. */
  readonly prose: string;
}

/** Every page that people read: tracked or about to be. */
export function allPages(): Page[] {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md"];
  const paths = execFileSync("git", args, { cwd: repositoryFolder, encoding: "utf8" }).split("\n");
  return [...new Set(paths)].filter((path) => path !== "").map(readPage);
}

export function readPage(path: string): Page {
  const text = readFileSync(join(repositoryFolder, path), "utf8");
  const blocks: Block[] = [];
  const prose: string[] = [];
  let open: { language: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    const fence = /^\s*```(\S*)/.exec(line);
    if (fence === null) (open?.lines ?? prose).push(line);
    else if (open === undefined) open = { language: fence[1] ?? "", line: index + 1, lines: [] };
    else {
      blocks.push({ language: open.language, line: open.line, text: `${open.lines.join("\n")}\n` });
      open = undefined;
    }
  }
  if (open !== undefined) throw new Error(`${path}:${open.line}: the block is not closed; add \`\`\``);
  return { path, text, blocks, prose: prose.join("\n") };
}

/** Blocks of one language on a page. */
export function blocksOf(page: Page, language: string): Block[] {
  return page.blocks.filter((block) => block.language === language);
}

/** Targets of the links on a page, without those to other sites. */
export function relativeLinks({ prose }: Page): string[] {
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** Paths of files and folders that a page names in `code`; with a placeholder (`<`, `*`, `...`) they name no single one. */
export function namedPaths({ prose }: Page): string[] {
  return [...prose.matchAll(/`([^`\n]+)`/g)]
    .map(([, code = ""]) => code)
    .filter((code) => /^[\w.@-]+(\/[\w.@-]+)*(\/|\.(ts|js|py|json|ya?ml|md|txt))$/.test(code))
    .filter((code) => code.includes("/") || /^(Pulumi\.yaml|package\.json|index\.ts|[A-Z]+\.md)$/.test(code));
}

/** Anchors that GitHub gives to the headings of a page. */
export function anchorsOf({ prose }: Page): string[] {
  return [...prose.matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
