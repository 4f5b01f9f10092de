import { randomUUID } from "node:crypto";
import { coordinator } from "../command.ts";
import { query, tenantDatabase } from "../database.ts";
import type { StepReport, TourContext, TourStep } from "../step.ts";
import { addTrafficTenant, checkTraffic, ensureTraffic, waitForOperations } from "../traffic.ts";
import { reportMoves } from "./promotion.ts";

/** A tenant that R1 has never seen. */
export const bornUnderR2 = "nimbus";

/** Back to R1 from the stack's history, with every write that R2 has taken since. */
export const rollback: TourStep = {
  name: "rollback",
  title: "back to R1 from stack history, with every write made under R2",

  async run(context, report) {
    await coordinator(context, ["tenant", "onboard", bornUnderR2, "--env", "dev"]);
    await addTrafficTenant(context, bornUnderR2);
    const key = randomUUID();
    await born(context, key);
    await waitForOperations(context, context.operations);
    await rollBack(context, report);
    await waitForOperations(context, context.operations);
    const [row] = await query<{ body: string }>(
      context,
      tenantDatabase(bornUnderR2),
      "SELECT body FROM prompt_bodies JOIN prompts ON id = prompt_id WHERE idempotency_key = $1",
      [key],
    );
    report.check(row?.body === bornText, "a tenant born under R2 is served by R1, in clear, with what it wrote");
    await checkTraffic(context, report, "after the rollback");
    await ensureTraffic(context);
  },
};

/** `coordinator rollback dev` and what must be true after it. */
export async function rollBack(context: TourContext, report: StepReport): Promise<number> {
  const back = await coordinator(context, ["rollback", "dev", "--reason", "tour"]);
  report.count("rollbackSeconds", Math.round(back.seconds));
  report.check(/restore/i.test(back.stdout), "the rollback says what it restores and what it does not");
  await reportMoves(context, report, "r1");
  return back.seconds;
}

const bornText = "The first prompt of a tenant that was onboarded while R2 ran.";

async function born(context: TourContext, key: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    const response = await fetch(`${context.environment["RC_GATEWAY_URL"]}/tenants/${bornUnderR2}/prompts`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ title: "born under R2", body: bornText }),
    });
    if (response.ok) return;
    // The gateway follows the registry within moments; nothing else may be in the way.
    if (response.status !== 404 || tries >= 50)
      throw new Error(`POST for ${bornUnderR2}: ${response.status} ${await response.text()}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
