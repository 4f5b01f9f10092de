import { existsSync } from "node:fs";
import { seedTenants } from "../../seed/seed.ts";
import { command, coordinator, pulumi } from "../command.ts";
import { accept } from "../acceptance.ts";
import { seedTenantIds, writeFirstStackFile } from "../stack-file.ts";
import type { TourStep } from "../step.ts";

/** R1 by the plain CLI: roles, registry, tenants, fleet; real text; acceptance through the gateway. */
export const firstRelease: TourStep = {
  name: "r1",
  title: "R1 by plain `pulumi up`, seeded with real text, accepted through the gateway",

  async run(context, report) {
    if (!existsSync(context.stackFile)) await writeFirstStackFile(context);
    const stacks = await command(context, "pulumi", ["stack", "ls", "--json"]);
    const known = (JSON.parse(stacks.stdout) as { name: string }[]).some(({ name }) => name === "dev");
    if (!known) await command(context, "pulumi", ["stack", "init", "dev", "--non-interactive"]);
    const up = await pulumi(context, ["up", "--yes", "--skip-preview"]);
    report.count("upSeconds", Math.round(up.seconds));

    const tenants = await seedTenantIds(context);
    const seeded = await seedTenants({
      postgresUrl: context.environment["RC_POSTGRES_URL"] ?? "",
      tenants,
      rows: context.rows,
    });
    report.count("tenants", tenants.length);
    report.count("promptsAndMessages", seeded.rows);
    report.check(tenants.length >= 8, `${tenants.length} tenants are onboarded`);
    report.check(seeded.rows >= context.rows, `${seeded.rows} prompts and messages of real text are in R1's tables`);

    await accept(context, report, "r1");
    // A plain update passes unreviewed; this is what makes the state one that a rollback may choose.
    await coordinator(context, ["verify", "--env", "dev"]);
  },
};
