import { exitCodes, Refusal } from "./outcome.ts";
import type { Report } from "./outcome.ts";

/** Where a command speaks: results to stdout, progress and faults to stderr, so that `--json | jq` always works. */
export interface Terminal {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

export const processTerminal: Terminal = {
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
};

const verdicts = { go: "", error: "error", "no-go": "no-go", "needs-human": "needs a human or time" } as const;

/**
 * Runs one command and prints what it reports.
 * @returns the exit code: 0 go or done, 1 error, 2 no-go, 3 needs a human or time.
 */
export async function runCommand(terminal: Terminal, isJson: boolean, command: () => Promise<Report>): Promise<number> {
  const report = await command().catch(failureReport);
  if (isJson) terminal.stdout(JSON.stringify({ outcome: report.outcome, ...report.data }, null, 2) + "\n");
  else if (report.isDocument) terminal.stdout(report.text);
  else if (report.outcome === "error") terminal.stderr(`error: ${report.text}\n`);
  else terminal.stdout(withVerdict(report) + "\n");
  return exitCodes[report.outcome];
}

function withVerdict(report: Report): string {
  const verdict = verdicts[report.outcome];
  return verdict === "" ? report.text : `${verdict}: ${report.text}`;
}

function failureReport(failure: unknown): Report {
  if (failure instanceof Refusal) {
    const text = failure.reasons.length === 1 ? failure.message : "\n- " + failure.reasons.join("\n- ");
    return { outcome: failure.outcome, text: text.trimStart(), data: { reasons: failure.reasons } };
  }
  const message = failure instanceof Error ? failure.message : String(failure);
  return { outcome: "error", text: message, data: { error: message } };
}
