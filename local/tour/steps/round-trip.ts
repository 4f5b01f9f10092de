import { isDeepStrictEqual } from "node:util";
import { tenantDigests } from "../../../tests/workload/oracle.ts";
import { coordinator } from "../command.ts";
import { query, tenantDatabase } from "../database.ts";
import { seedTenantIds } from "../stack-file.ts";
import type { TourContext, TourStep } from "../step.ts";
import { checkTraffic, ensureTraffic, stopTraffic, waitForOperations } from "../traffic.ts";
import { promoteTo } from "./promotion.ts";
import { rollBack } from "./rollback.ts";

/** Forward again is a drain and a flip. */
export const again: TourStep = {
  name: "promote-again",
  title: "R2 again: what was copied is still there, so it is a drain and a flip",
  async run(context, report) {
    await promoteTo(context, report, "r2");
    await waitForOperations(context, context.operations);
  },
};

/** The plaintext goes: from here on going back is a rebuild, and the tool says so before and after. */
export const finalize: TourStep = {
  name: "finalize",
  title: "the plaintext is retired; going back is a rebuild from now on",
  async run(context, report) {
    const done = await coordinator(context, ["finalize", "prompt-encryption", "--env", "dev"]);
    report.count("finalizeSeconds", Math.round(done.seconds));
    for (const tenant of await seedTenantIds(context)) {
      const [state] = await query<{ position: string; table: string | null }>(
        context,
        tenantDatabase(tenant),
        "SELECT position, to_regclass('public.prompt_bodies')::text AS table FROM rc.mirror WHERE mirror = 'prompt-encryption'",
      );
      report.check(
        state?.position === "retired" && state.table === null,
        `${tenant}: retired, the clear table is gone`,
      );
    }
    const said = await coordinator(context, ["diff", "--env", "dev", "--no-preview"]);
    report.check(
      /rebuil/i.test(said.stdout),
      "`coordinator diff` says that going back is a rebuild now, and how long it takes",
    );
    await waitForOperations(context, context.operations);
  },
};

/** The rebuild itself: R1 again from sealed data alone, compared row by row, with the writes of the meantime. */
export const rebuild: TourStep = {
  name: "rollback-after-finalize",
  title: "back to R1 after the point of no instant return: every row rebuilt from sealed data and compared",
  async run(context, report) {
    await stopTraffic(context);
    const sealed = await digests(context);
    const seconds = await rollBack(context, report);
    report.count("rebuildSeconds", Math.round(seconds));
    const clear = await digests(context);
    report.check(
      Object.keys(sealed).length > 0 && isDeepStrictEqual(sealed, clear),
      `the rows of ${Object.keys(sealed).length} tenants, read by Tink before and by SQL after, are the same to the byte`,
    );
    await waitForOperations(context, context.operations);
    await checkTraffic(context, report, "after the rebuild");
    await ensureTraffic(context);
  },
};

/** Forward to R2, where dev stays. */
export const stay: TourStep = {
  name: "promote-to-stay",
  title: "R2, where dev stays, the way back open",
  async run(context, report) {
    await promoteTo(context, report, "r2");
    await waitForOperations(context, context.operations);
  },
};

async function digests(context: TourContext): Promise<Record<string, string>> {
  return tenantDigests({
    postgresUrl: context.environment["RC_POSTGRES_URL"] ?? "",
    environment: "dev",
    vaultAddress: context.environment["RC_VAULT_ADDR"] ?? "",
    vaultToken: context.environment["RC_VAULT_TOKEN"] ?? "",
    python: context.environment["RC_PYTHON"] ?? "python3",
    tenants: await seedTenantIds(context),
  });
}
