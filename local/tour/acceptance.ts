import { runAcceptance } from "../../tests/workload/acceptance.ts";
import type { StepReport, TourContext } from "./step.ts";

/** The service contract and 1,000 random operations against a model, through the gateway, on a release's probe tenant. */
export async function accept(context: TourContext, report: StepReport, release: string): Promise<void> {
  const baseUrl = context.environment["RC_GATEWAY_URL"] ?? "";
  const { checks, isAccepted } = await runAcceptance({ baseUrl, tenant: `probe-${release}` });
  const failures = checks.filter((check) => check.failure !== undefined);
  const broken = failures.map((check) => `; not so: ${check.name}: ${check.failure ?? ""}`).join("");
  report.check(
    isAccepted,
    `${release} keeps the service contract through the gateway: ${checks.length} checks${broken}`,
  );
}
