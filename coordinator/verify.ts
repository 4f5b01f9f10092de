import type { Command } from "commander";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { openRegistry, readFacts } from "./environment-facts.ts";
import { filled } from "./evidence/act-evidence.ts";
import { openEvidenceOf } from "./evidence/open-evidence.ts";
import { readLedgers } from "./exact-facts.ts";
import type { Report } from "./outcome.ts";
import { openStackFile, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { explainRows, verifyRows } from "./row-verification.ts";
import { runCommand } from "./terminal.ts";
import { explainVerification, recordVerifications, verifyPins } from "./verification.ts";
import type { PinVerification } from "./verification.ts";

interface VerifyOptions extends CommonOptions {
  readonly rows?: boolean;
  readonly tenant?: string;
}

export function registerVerify(program: Command, surroundings: Surroundings): void {
  withCommonOptions(program.command("verify").description("prove that what is pinned works, and keep the evidence"))
    .option("--rows", "compare every row of both sides as well, and the ledger's signatures")
    .option("--tenant <id>", "with --rows: only this tenant's")
    .addHelpText(
      "after",
      "\nAsks every service's readiness and every tenant's ledger. A rollback goes to verified releases only.\n\n--rows finds rows changed past the engine, also an older ciphertext of the same row, and names them.\n\nExamples:\n  coordinator verify --env prod\n  coordinator verify --env prod --rows",
    )
    .action(async (options: VerifyOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => verify(options, surroundings)));
    });
}

/**
 * Exit 2 when something does not hold: then no evidence is kept.
 * @throws {Refusal} a tenant that is in no wave
 */
export async function verify(options: VerifyOptions, surroundings: Surroundings): Promise<Report> {
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const registry = openRegistry(environment);
  try {
    const facts = await readLedgers(environment, await readFacts(environment, registry));
    const found = await verifyPins(environment, facts);
    const isComparing = options.rows === true || options.tenant !== undefined;
    const rows = isComparing ? await verifyRows(environment, facts, options.tenant) : [];
    const areRowsSound = rows.every(({ faults }) => faults.length === 0);
    if (areRowsSound) {
      await recordVerifications(environment, registry, found);
      await keepEvidence(environment, found, options, surroundings);
    }
    const isVerified = areRowsSound && found.every((each) => each.isVerified);
    const data = { environment: environment.name, verification: found, ...(isComparing ? { rows } : {}) };
    const text = [...found.map(explainVerification), ...rows.map(explainRows)].join("\n");
    return { outcome: isVerified ? "go" : "no-go", text, data };
  } finally {
    await registry.close();
  }
}

/** Beside the state it is what the next environment's gate reads; without it the registry's own record stands. */
async function keepEvidence(
  { pins }: Environment,
  found: readonly PinVerification[],
  options: VerifyOptions,
  surroundings: Surroundings,
): Promise<void> {
  const verified = found.filter(({ isVerified }) => isVerified).map(({ pin }) => pin);
  if (verified.length === 0) return;
  try {
    const log = await openEvidenceOf(options, surroundings);
    const facts = filled({ act: "verification", from: pins, to: pins, outcome: "go", verified });
    await log?.append(facts);
    await log?.close();
  } catch (error) {
    surroundings.terminal.stderr(
      `warning: the evidence was not written beside the state: ${(error as Error).message}\n`,
    );
  }
}
