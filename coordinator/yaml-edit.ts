import { isCollection, isMap, isScalar, isSeq, parseDocument } from "yaml";
import type { Node, Pair, YAMLMap } from "yaml";

/** A plain value as an edit writes it, always on one line. */
export type EditValue = string | boolean | readonly string[] | { readonly [key: string]: EditValue };

/**
 * Sets one value and leaves every other byte of the text alone. Printing a whole YAML document anew would
 * also rewrite quoting, padding and line breaks that somebody chose, and bury the one changed line of a pull request.
 */
export function setValue(text: string, path: readonly string[], value: EditValue): string {
  const present = nodeAt(text, path);
  if (present !== undefined) return replaced(text, present, value);
  const parentPath = path.slice(0, -1);
  const key = path.at(-1);
  if (key === undefined) throw new Error("a YAML edit needs a path");
  const parent = nodeAt(text, parentPath);
  if (!isMap(parent)) return setValue(text, parentPath, { [key]: value });
  if (parent.items.length === 0) return replaced(text, parent, { [key]: value });
  return parent.flow ? addedToFlow(text, parent, key, value) : addedToBlock(text, parent, key, value);
}

/** Appends to a list; makes it when it is absent. */
export function appendItem(text: string, path: readonly string[], item: string): string {
  const list = nodeAt(text, path);
  if (!isSeq(list) || list.items.length === 0) return setValue(text, path, [item]);
  const last = list.items.at(-1) as Node;
  const end = contentEnd(text, last);
  if (list.flow) return splice(text, end, end, `, ${item}`);
  const dash = text.lastIndexOf("-", startOf(last));
  return splice(text, lineEnd(text, end), lineEnd(text, end), `\n${indentAt(text, dash)}- ${item}`);
}

/** Removes one entry of a map with its line, and the map itself when it was the last one. */
export function removeEntry(text: string, path: readonly string[]): string {
  const parent = nodeAt(text, path.slice(0, -1));
  if (!isMap(parent)) return text;
  const index = parent.items.findIndex((pair) => keyOf(pair) === path.at(-1));
  const pair = parent.items[index];
  if (pair === undefined) return text;
  if (parent.items.length === 1 && path.length > 1) return removeEntry(text, path.slice(0, -1));
  const start = startOf(pair.key as Node);
  const end = pair.value === null ? startOf(pair.key as Node) : contentEnd(text, pair.value as Node);
  if (!parent.flow) return splice(text, lineStart(text, start), lineEnd(text, end) + 1, "");
  const after = /^\s*,\s*/.exec(text.slice(end));
  if (after) return splice(text, start, end + after[0].length, "");
  const before = /,\s*$/.exec(text.slice(0, start));
  return splice(text, start - (before?.[0].length ?? 0), end, "");
}

/** Removes one item of a list, with its line in a block list; the last one leaves `[]`. */
export function removeItem(text: string, path: readonly string[], index: number): string {
  const list = nodeAt(text, path);
  const item = isSeq(list) ? (list.items[index] as Node | undefined) : undefined;
  if (!isSeq(list) || item === undefined) return text;
  if (list.items.length === 1) return replaced(text, list, []);
  const start = startOf(item);
  const end = contentEnd(text, item);
  if (!list.flow) return splice(text, lineStart(text, text.lastIndexOf("-", start)), lineEnd(text, end) + 1, "");
  const after = /^\s*,\s*/.exec(text.slice(end));
  if (after) return splice(text, start, end + after[0].length, "");
  const before = /,\s*$/.exec(text.slice(0, start));
  return splice(text, start - (before?.[0].length ?? 0), end, "");
}

/** Sets a map to these entries, one a line, as people read them in a pull request. */
export function setBlock(
  text: string,
  path: readonly string[],
  entries: { readonly [key: string]: EditValue },
): string {
  const lines = Object.entries(entries).map(([key, value]) => `${key}: ${written(value)}`);
  const marked = setValue(text, path, blockMark);
  const indent = `${indentAt(marked, lineIndent(marked, marked.indexOf(blockMark)))}  `;
  return marked.replace(` ${blockMark}`, lines.map((line) => `\n${indent}${line}`).join(""));
}

/** Stands for a moment where a block map goes. */
const blockMark = "coordinator-block-mark";

function nodeAt(text: string, path: readonly string[]): Node | undefined {
  const document = parseDocument(text);
  const found = path.length === 0 ? document.contents : document.getIn(path, true);
  return (found ?? undefined) as Node | undefined;
}

function replaced(text: string, node: Node, value: EditValue): string {
  const start = startOf(node);
  // `key:` with nothing behind it: the empty value begins right after the colon.
  const gap = isScalar(node) && text[start - 1] === ":" ? " " : "";
  if (isCollection(node) && !node.flow) {
    const keyEnd = text.lastIndexOf(":", start) + 1;
    return splice(text, keyEnd, contentEnd(text, node), ` ${written(value)}`);
  }
  return splice(text, start, contentEnd(text, node), gap + written(value));
}

function addedToFlow(text: string, map: YAMLMap, key: string, value: EditValue): string {
  const last = map.items.at(-1)?.value as Node;
  const end = contentEnd(text, last);
  return splice(text, end, end, `, ${key}: ${written(value)}`);
}

function addedToBlock(text: string, map: YAMLMap, key: string, value: EditValue): string {
  const last = map.items.at(-1);
  const end = lineEnd(text, contentEnd(text, (last?.value ?? last?.key) as Node));
  const indent = indentAt(text, startOf(map.items[0]?.key as Node));
  return splice(text, end, end, `\n${indent}${key}: ${written(value)}`);
}

function written(value: EditValue): string {
  if (typeof value === "string" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return `[${value.join(", ")}]`;
  const pairs = Object.entries(value).map(([key, inner]) => `${key}: ${written(inner)}`);
  return `{ ${pairs.join(", ")} }`;
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}

function startOf(node: Node): number {
  if (!node.range) throw new Error("a parsed YAML node has a range");
  return node.range[0];
}

/** End of the node's own text, without the white space and comments that a block collection's range takes along. */
function contentEnd(text: string, node: Node): number {
  if (!isCollection(node) || node.flow) return node.range?.[1] ?? startOf(node);
  const last = node.items.at(-1) as Node | Pair | undefined;
  if (last === undefined) return startOf(node);
  const inner = "key" in last ? ((last.value ?? last.key) as Node) : last;
  return contentEnd(text, inner);
}

function lineStart(text: string, offset: number): number {
  return text.lastIndexOf("\n", offset - 1) + 1;
}

/** Offset of the line break that ends the line of `offset`: a comment behind the value stays with it. */
function lineEnd(text: string, offset: number): number {
  const end = text.indexOf("\n", offset);
  return end < 0 ? text.length : end;
}

function indentAt(text: string, offset: number): string {
  return " ".repeat(offset - lineStart(text, offset));
}

/** Offset of the first character of the line that is no space. */
function lineIndent(text: string, offset: number): number {
  const start = lineStart(text, offset);
  return start + (/^ */.exec(text.slice(start))?.[0].length ?? 0);
}

function splice(text: string, start: number, end: number, inserted: string): string {
  return text.slice(0, start) + inserted + text.slice(end);
}
