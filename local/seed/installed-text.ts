import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { globSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { repositoryFolder } from "../folders.ts";
import { ensurePython } from "../toolchain/python.ts";

/** Kinds of text that people write, as installed packages hold them. */
export const textKinds = ["documentation", "translation", "declaration", "source"] as const;
export type TextKind = (typeof textKinds)[number];

/** Folders whose packages are read: `node_modules`, the `site-packages` of the Python environment. */
export type TextFolders = readonly string[];

/** One file of an installed package. */
export interface InstalledFile {
  readonly kind: TextKind;
  readonly folder: string;
  /** From the folder of packages on, e.g. `zod/README.md`: the same on every machine. */
  readonly path: string;
}

/** Text of one file. */
export interface InstalledText {
  /** Valid UTF-8 without NUL. */
  readonly bytes: Buffer;
  /** sha256 of the bytes. */
  readonly digest: Buffer;
}

/** A file beyond this is a data table in disguise, and would be held in memory whole. */
const fileLimitBytes = 4 * 1024 * 1024;

/**
 * The folders of this checkout: its `node_modules`, and the packages of `RC_PYTHON`, else of the platform's own Python,
 * which is installed when it is missing.
 */
export async function installedFolders(): Promise<TextFolders> {
  const python = process.env["RC_PYTHON"] || (await ensurePython());
  const pattern = join(dirname(dirname(python)), "lib", "python3*", "site-packages");
  const packages = globSync(pattern).sort().at(-1);
  if (packages === undefined)
    throw new Error(`${pattern} does not exist; RC_PYTHON must name the Python of a venv; run: source .local/env`);
  return [join(repositoryFolder, "node_modules"), packages];
}

/**
 * Files with text worth a prompt, in an order that mixes the packages and is the same wherever the same versions are
 * installed. Only names are held, not texts.
 */
export function findTextFiles(folders: TextFolders): InstalledFile[] {
  const found = folders.flatMap((folder) => [...walk(folder, "")]);
  const keyed = found.map((file) => ({ file, key: createHash("sha256").update(file.path).digest("hex") }));
  // A hash of the name instead of the name: otherwise a small seed would be one vendor's changelog.
  return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ file }) => file);
}

function* walk(folder: string, below: string): Generator<InstalledFile> {
  for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) {
      if (!entry.name.startsWith(".") && entry.name !== "__pycache__") yield* walk(folder, path);
    } else if (entry.isFile()) {
      const kind = kindOf(path);
      if (kind !== undefined) yield { kind, folder, path };
    }
  }
}

function kindOf(path: string): TextKind | undefined {
  if (/\/(locales?|translations?)\/[\w-]+\.(js|json)$|\/diagnosticMessages\.generated\.json$/.test(path))
    return "translation";
  if (/\.(md|markdown|rst)$|(^|\/)(licen[cs]e|copying|notice|changelog|history|authors|METADATA)(\.txt)?$/i.test(path))
    return "documentation";
  if (path.endsWith(".d.ts")) return "declaration";
  return path.endsWith(".py") ? "source" : undefined;
}

/** Reads one file; undefined when it is too large, or no text that PostgreSQL can store. */
export function findText({ folder, path }: InstalledFile): InstalledText | undefined {
  const name = join(folder, path);
  if (statSync(name).size > fileLimitBytes) return undefined;
  let bytes = readFileSync(name);
  if (!isUtf8(bytes) || bytes.includes(0)) return undefined;
  if (path.endsWith(".json")) bytes = Buffer.from(stringsOf(bytes.toString()).join("\n"));
  // JSON may spell what UTF-8 cannot hold: a NUL or half a surrogate pair by its number.
  if (bytes.includes(0)) return undefined;
  return { bytes, digest: createHash("sha256").update(bytes).digest() };
}

/** The sentences of a message catalogue, without its keys; none when the file is not one. */
function stringsOf(json: string): string[] {
  try {
    const catalogue: unknown = JSON.parse(json.replace(/^\uFEFF/, ""));
    const values = typeof catalogue === "object" && catalogue !== null ? Object.values(catalogue) : [];
    return values.filter((value) => typeof value === "string");
  } catch {
    // Packages also ship files that are broken on purpose, as fixtures of their tests.
    return [];
  }
}
