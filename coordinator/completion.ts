import { Argument } from "commander";
import type { Command } from "commander";
import type { Surroundings } from "./project.ts";

type Shell = "bash" | "zsh" | "fish";

/** Completion of the whole command line, made from the commands themselves: nothing has to be kept in step. */
export function registerCompletion(program: Command, { terminal, exit }: Surroundings): void {
  program
    .command("completion")
    .description("print the completion of this command line for a shell")
    .addArgument(new Argument("<shell>", "the shell that reads it").choices(["bash", "zsh", "fish"]))
    .addHelpText(
      "after",
      "\nNeeds a command `coordinator` on PATH, e.g. an alias of `node coordinator/main.ts`.\n\nExamples:\n  coordinator completion bash >> ~/.bashrc\n  coordinator completion fish > ~/.config/fish/completions/coordinator.fish",
    )
    .action((shell: Shell) => {
      const words = wordsOf(program);
      terminal.stdout(shell === "fish" ? fish(words) : bash(words, shell));
      exit(0);
    });
}

/** Words that may follow a command: its subcommands and its options. */
export function wordsOf(command: Command, path: readonly string[] = []): Map<string, string[]> {
  const own = [
    ...command.commands.map((child) => child.name()),
    ...command.options.flatMap(({ long }) => (long === undefined || long === null ? [] : [long])),
    "--help",
  ];
  const found = new Map([[path.join(" "), own]]);
  for (const child of command.commands)
    for (const [key, words] of wordsOf(child, [...path, child.name()])) found.set(key, words);
  return found;
}

/** zsh reads bash completions once `bashcompinit` ran. */
function bash(words: ReadonlyMap<string, readonly string[]>, shell: "bash" | "zsh"): string {
  const cases = [...words].map(([path, list]) => `    "${path}") words="${list.join(" ")}" ;;`);
  return [
    ...(shell === "zsh" ? ["autoload -U +X bashcompinit && bashcompinit"] : []),
    "_coordinator() {",
    '  local path="" word words=""',
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    '    [[ "$word" == -* ]] && break',
    '    case "${path:+$path }$word" in',
    `      ${[...words.keys()]
      .filter((path) => path !== "")
      .map((path) => `"${path}"`)
      .join("|")}) path="\${path:+$path }$word" ;;`,
    "    esac",
    "  done",
    '  case "$path" in',
    ...cases,
    "  esac",
    '  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))',
    "}",
    "complete -F _coordinator coordinator",
    "",
  ].join("\n");
}

function fish(words: ReadonlyMap<string, readonly string[]>): string {
  const lines = [...words].flatMap(([path, list]) => {
    const seen =
      path === ""
        ? "__fish_use_subcommand"
        : path
            .split(" ")
            .map((word) => `__fish_seen_subcommand_from ${word}`)
            .join("; and ");
    return list.map(
      (word) =>
        `complete -c coordinator -f -n '${seen}' ${word.startsWith("--") ? `-l ${word.slice(2)}` : `-a ${word}`}`,
    );
  });
  return `${lines.join("\n")}\n`;
}
