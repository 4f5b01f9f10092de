import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { repositoryFolder } from "../../local/folders.ts";

/** One `run:` step of a workflow, as a machine without GitHub can run it. */
export interface WorkflowCommand {
  readonly job: string;
  readonly name: string;
  /** The text of `run:`; `bash -e -o pipefail -c` is stricter than the `bash -e` that GitHub starts. */
  readonly run: string;
  /** Variables of workflow, job and step; expressions have become the values that were given. */
  readonly env: Readonly<Record<string, string>>;
  /** True when it asks a platform: its backend, PostgreSQL, Vault, containers. */
  readonly needsPlatform: boolean;
  /** True when it installs what this machine already has. */
  readonly installs: boolean;
}

export interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

export interface Job {
  readonly if?: string;
  readonly environment?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly concurrency?: { readonly group: string; readonly "cancel-in-progress": boolean };
  readonly strategy?: {
    readonly matrix: Readonly<Record<string, readonly string[]>>;
    readonly "max-parallel"?: number;
  };
  readonly env?: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

interface Step {
  readonly name?: string;
  readonly if?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly with?: Readonly<Record<string, string>>;
}

/** Workflows to copy that run by themselves. */
export const workflowFiles = { preview: "docs/workflows/preview.yml", up: "docs/workflows/up.yml" };

/** Workflows to copy that a person starts. */
export const startedFiles = { promote: "docs/workflows/promote.yml", rollback: "docs/workflows/rollback.yml" };

export function readWorkflow(file: string): Workflow {
  return parse(readFileSync(join(repositoryFolder, file), "utf8")) as Workflow;
}

/**
 * The commands of a workflow in their order, for one environment. On a platform, run those that need one like this, each
 * with the platform's variables on top of `env` and with RUNNER_TEMP and GITHUB_ENV naming a folder and a file:
 * `bash -e -o pipefail -c run`.
 *
 * @param file one of `workflowFiles`, from the repository's folder
 * @param values by expression, e.g. `matrix.environment`; `secrets.*` that are not given are left out of `env`, so that the
 *   platform's own variables stay
 * @throws for an expression that has no value
 */
export function workflowCommands(file: string, values: Readonly<Record<string, string>> = {}): WorkflowCommand[] {
  const known: Readonly<Record<string, string>> = {
    "matrix.environment": "dev",
    "github.event_name": "push",
    "github.sha": "0".repeat(40),
    "github.repository": "somebody/platform",
    "github.event.pull_request.number": "7",
    "github.event.pull_request.base.sha": "1".repeat(40),
    "github.token": "none",
    "github.triggering_actor": "ana",
    "inputs.environment": "dev",
    "inputs.release": "r2",
    "inputs.reason": "error rate",
    "inputs.wave": "",
    "inputs.digest": "",
    "inputs.target": "",
    "inputs.only-ask && 'yes' || ''": "",
    "toJSON(vars)": "{}",
    "runner.temp": process.env["RUNNER_TEMP"] ?? "/nowhere",
    ...values,
  };
  const fill = (text: string): string | undefined => {
    let isSecret = false;
    const filled = text.replaceAll(/\$\{\{\s*(.+?)\s*\}\}/g, (_, expression: string) => {
      const value = known[expression];
      if (value !== undefined) return value;
      if (!expression.startsWith("secrets.")) throw new Error(`${file}: \${{ ${expression} }} has no value here`);
      isSecret = true;
      return "";
    });
    return isSecret ? undefined : filled;
  };
  return Object.entries(readWorkflow(file).jobs).flatMap(([job, { env = {}, steps }]) =>
    steps.flatMap((step): WorkflowCommand[] => {
      const { run } = step;
      if (run === undefined) return [];
      const filled = Object.entries({ ...env, ...step.env }).flatMap(([name, value]) => {
        const text = fill(String(value));
        return text === undefined ? [] : [[name, text] as const];
      });
      return [
        {
          job,
          name: step.name ?? run,
          run,
          env: Object.fromEntries(filled),
          needsPlatform: /\bpulumi |coordinator\/main\.ts (?!lint|report --from)/.test(run),
          installs: /\bnpm ci\b/.test(run),
        },
      ];
    }),
  );
}
