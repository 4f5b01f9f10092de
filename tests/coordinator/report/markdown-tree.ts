import { parsers } from "prettier/plugins/markdown";

/** A node of parsed Markdown, as far as a test looks at it. */
export interface MarkdownNode {
  readonly type: string;
  readonly value?: string;
  readonly children?: readonly MarkdownNode[];
}

/** Every node of a text, parsed as GitHub's flavour of Markdown by the parser of prettier. */
export function nodesOf(text: string): MarkdownNode[] {
  const walk = (node: MarkdownNode): MarkdownNode[] => [node, ...(node.children ?? []).flatMap(walk)];
  const parse = parsers.remark.parse as (text: string, options: object) => MarkdownNode;
  return walk(parse(text, {}));
}

/** What a reader sees of it. */
export function textOf(text: string): string {
  return nodesOf(text)
    .filter(({ type }) => type === "text" || type === "inlineCode")
    .map(({ value = "" }) => value)
    .join("");
}
