import { randomUUID } from "node:crypto";
import { plaintextLeft, readSealed } from "../../../tests/workload/oracle.ts";
import { accept } from "../acceptance.ts";
import { query, tenantDatabase } from "../database.ts";
import { seedTenantIds } from "../stack-file.ts";
import type { TourContext, TourStep } from "../step.ts";

/** What R2 promises, asked of real parts by readers that nobody here wrote. */
export const sealed: TourStep = {
  name: "checks",
  title: "R2 serves sealed data; stock Tink opens every row; a swap is detected; R1 is fenced by name",

  async run(context, report) {
    const tenants = await seedTenantIds(context);
    const [tenant = ""] = tenants;

    const body = `written under R2, ${randomUUID()}`;
    const { id } = await ask<{ id: string }>(context, "POST", `/tenants/${tenant}/prompts`, { title: "tour", body });
    const back = await ask<{ body: string }>(context, "GET", `/tenants/${tenant}/prompts/${id}`);
    report.check(back.body === body, "R2 writes a prompt and reads it back through sealed data");
    const [row] = await query<{ body: Buffer }>(
      context,
      tenantDatabase(tenant),
      "SELECT body FROM prompt_bodies_sealed WHERE prompt_id = $1",
      [id],
    );
    report.check(row !== undefined && !row.body.includes(body), "the row in the database does not hold its text");

    await accept(context, report, "r2");

    const access = {
      postgresUrl: context.environment["RC_POSTGRES_URL"] ?? "",
      environment: "dev",
      vaultAddress: context.environment["RC_VAULT_ADDR"] ?? "",
      vaultToken: context.environment["RC_VAULT_TOKEN"] ?? "",
      python: context.environment["RC_PYTHON"] ?? "python3",
    };
    let opened = 0;
    for (const each of tenants) {
      const found = await readSealed({ ...access, tenant: each });
      opened += found.opened;
      report.check(found.notOpened.length === 0, `${each}: Python's Tink opens all ${found.opened} sealed rows`);
    }
    report.count("rowsOpenedByTink", opened);

    const left = await plaintextLeft({ ...access, tenants });
    report.check(
      left.rows > 0 && left.withPlaintext === 0,
      `no plaintext in ${left.rows} rows on the authoritative side`,
    );

    await swapped(context, tenant);
    const afterSwap = await readSealed({ ...access, tenant });
    report.check(afterSwap.notOpened.length === 2, "two ciphertexts swapped between rows are both refused");
    await swapped(context, tenant);
    report.check((await readSealed({ ...access, tenant })).notOpened.length === 0, "swapped back, both open again");

    const refused = await asRelease(context, tenant, "platform_r1");
    report.check(
      refused === "42501",
      "R1's role is refused at the tables (42501), which R1 answers with 503 and R2's name",
    );
    const late = await fetch(
      `http://127.0.0.1:${Number(context.environment["RC_FLEET_BASE_PORT"]) + 1}/tenants/${tenant}/prompts?limit=1`,
    );
    const named = late.headers.get("x-release") ?? "";
    report.check(
      late.status === 503 && named.startsWith("r2@") && late.headers.get("retry-after") === "1",
      `a request that still reaches R1's fleet gets 503, Retry-After: 1, X-Release: ${named}`,
    );
  },
};

/** Exchanges two sealed bodies of the tenant, past every service; twice is none. */
async function swapped(context: TourContext, tenant: string): Promise<void> {
  await query(
    context,
    tenantDatabase(tenant),
    `WITH two AS (SELECT prompt_id, body, row_number() OVER (ORDER BY prompt_id) AS place
       FROM prompt_bodies_sealed ORDER BY prompt_id LIMIT 2)
     UPDATE prompt_bodies_sealed AS row SET body = other.body FROM two AS own, two AS other
     WHERE row.prompt_id = own.prompt_id AND own.place <> other.place`,
  );
}

/** SQLSTATE that a release's role gets when it reads the clear bodies. */
async function asRelease(context: TourContext, tenant: string, role: string): Promise<string> {
  try {
    await query(context, tenantDatabase(tenant), `SET ROLE ${role}; SELECT count(*) FROM prompt_bodies`);
    return "none";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

async function ask<T>(context: TourContext, method: string, path: string, body?: object): Promise<T> {
  const response = await fetch(`${context.environment["RC_GATEWAY_URL"]}${path}`, {
    method,
    headers: { "content-type": "application/json", "idempotency-key": randomUUID() },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}
