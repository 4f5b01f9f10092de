import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runCommandLine } from "../../coordinator/command-line.ts";
import { repositoryFolder } from "../../local/folders.ts";

/** What a command may be given, as its help says. */
interface Help {
  readonly flags: ReadonlySet<string>;
  readonly subcommands: ReadonlySet<string>;
}

const helps = new Map<string, Help | undefined>();

/** Programs that need no look: what they get is checked nowhere. */
const trusted = new Set(["source", "git", "psql", "cat", "export", "cd", "mkdir", "docker"]);

/** Why a command of the documentation does not exist; undefined when it does. */
export async function faultOf(words: readonly string[]): Promise<string | undefined> {
  const [program = "", ...rest] = words;
  if (trusted.has(program)) return undefined;
  if (program === "coordinator") return faultIn(rest, coordinatorHelp, "coordinator");
  if (program === "node" && rest[0] === "coordinator/main.ts")
    return faultIn(rest.slice(1), coordinatorHelp, "coordinator");
  if (program === "pulumi") return faultIn(rest, pulumiHelp, "pulumi");
  if (program === "make") return faultOfMake(rest);
  if (program === "npm") return faultOfNpm(rest);
  if (program === "node" || program === "python3" || program.endsWith("/pip")) return faultOfFiles(rest);
  return `nobody knows the program ${program}`;
}

async function faultIn(
  words: readonly string[],
  helpOf: (path: readonly string[]) => Promise<Help | undefined>,
  program: string,
): Promise<string | undefined> {
  const path: string[] = [];
  for (const word of words) {
    if (word.startsWith("-")) break;
    const isListed = (await helpOf(path))?.subcommands.has(word) === true;
    if (!isListed && (program !== "pulumi" || (await helpOf([...path, word])) === undefined)) break;
    path.push(word);
  }
  const help = await helpOf(path);
  const shown = [program, ...path].join(" ");
  const isGroup = (help?.subcommands.size ?? 0) > 0;
  if (help === undefined || (isGroup && words.some((word) => !word.startsWith("-"))))
    if (path.length === 0 || isGroup) return `${shown} has no subcommand ${words[path.length]}`;
  const bad = words
    .filter((word) => /^-/.test(word))
    .map((word) => word.split("=")[0] ?? word)
    .filter((flag) => help?.flags.has(flag) !== true);
  return bad.length === 0 ? undefined : `${shown} has no ${bad.join(", ")}`;
}

async function coordinatorHelp(path: readonly string[]): Promise<Help | undefined> {
  return remember(`coordinator ${path.join(" ")}`, async () => {
    let text = "";
    const terminal = { stdout: (part: string) => void (text += part), stderr: (part: string) => void (text += part) };
    const code = await runCommandLine([...path, "--help"], terminal, repositoryFolder);
    return code === 0 ? parseHelp(text, "Commands:") : undefined;
  });
}

async function pulumiHelp(path: readonly string[]): Promise<Help | undefined> {
  return remember(`pulumi ${path.join(" ")}`, async () => {
    const env = { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" };
    const { stdout: text } = spawnSync("pulumi", [...path, "--help"], { encoding: "utf8", env });
    if (text === null) throw new Error("there is no pulumi on PATH: make up");
    // Other names of a command (`stack init`) are not listed; of what does not exist one gets the help of the group.
    const usage = /^Usage:\s+(pulumi.*)$/m.exec(text)?.[1] ?? "";
    const depth = usage.split(" ").filter((word) => /^[a-z-]+$/.test(word)).length - 1;
    return depth === path.length ? parseHelp(text, "Commands:") : undefined;
  });
}

async function remember(key: string, ask: () => Promise<Help | undefined>): Promise<Help | undefined> {
  if (!helps.has(key)) helps.set(key, await ask());
  return helps.get(key);
}

function parseHelp(text: string, title: string): Help {
  const flags = [...text.matchAll(/^\s+(?:(-\w), )?(--[\w-]+)/gm)].flatMap(([, short, long]) => [short, long]);
  // Pulumi groups its commands under several titles that end so.
  const sections = text.split(/\n(?=\S)/).filter((section) => (section.split("\n")[0] ?? "").endsWith(title));
  const names = sections.flatMap((section) => [...section.matchAll(/^ {2,4}([a-z][\w-]*)/gm)].map(([, name]) => name));
  return {
    flags: new Set(flags.filter((flag) => flag !== undefined)),
    subcommands: new Set(names.filter((name) => name !== undefined)),
  };
}

function faultOfMake(words: readonly string[]): string | undefined {
  const makefile = readFileSync(join(repositoryFolder, "Makefile"), "utf8");
  const targets = words.filter((word) => !word.includes("=") && !word.startsWith("-"));
  const bad = targets.filter((target) => !new RegExp(`^${target}:`, "m").test(makefile));
  return bad.length === 0 ? undefined : `the Makefile has no target ${bad.join(", ")}`;
}

function faultOfNpm(words: readonly string[]): string | undefined {
  const { scripts } = JSON.parse(readFileSync(join(repositoryFolder, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const [verb = "", name = ""] = words;
  if (["ci", "install"].includes(verb)) return undefined;
  const script = verb === "run" ? name : verb;
  return script in scripts ? undefined : `package.json has no script ${script}`;
}

/** Files of the repository that a command is given must be there. */
function faultOfFiles(words: readonly string[]): string | undefined {
  const files = words.filter((word) => /^[\w-]+(\/[\w.-]+)+\.(ts|js|py|txt)$/.test(word));
  const tracked = execFileSync("git", ["ls-files", "--cached", "--others", "--", ...files, "Makefile"], {
    cwd: repositoryFolder,
    encoding: "utf8",
  }).split("\n");
  const bad = files.filter((file) => !tracked.includes(file));
  return bad.length === 0 ? undefined : `there is no ${bad.join(", ")}`;
}
