import type { Command } from "commander";
import { parseEnvironment } from "../releases/environment.ts";
import { openRegistry, readFacts } from "./environment-facts.ts";
import { readLedgers } from "./exact-facts.ts";
import type { Report } from "./outcome.ts";
import { openStackFile, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { runCommand } from "./terminal.ts";
import { explainVerification, recordVerifications, verifyPins } from "./verification.ts";

export function registerVerify(program: Command, surroundings: Surroundings): void {
  withCommonOptions(program.command("verify").description("prove that what is pinned works, and keep the evidence"))
    .addHelpText(
      "after",
      "\nAsks every service's readiness and every tenant's ledger. A rollback goes to verified releases only.\n\nExample:\n  coordinator verify --env prod",
    )
    .action(async (options: CommonOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => verify(options, surroundings)));
    });
}

/** Exit 2 when something does not hold: then no evidence is kept. */
export async function verify(options: CommonOptions, surroundings: Surroundings): Promise<Report> {
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const registry = openRegistry(environment);
  try {
    const facts = await readLedgers(environment, await readFacts(environment, registry));
    const found = await verifyPins(environment, facts);
    await recordVerifications(environment, registry, found);
    const isVerified = found.every((each) => each.isVerified);
    const data = { environment: environment.name, verification: found };
    return { outcome: isVerified ? "go" : "no-go", text: found.map(explainVerification).join("\n"), data };
  } finally {
    await registry.close();
  }
}
