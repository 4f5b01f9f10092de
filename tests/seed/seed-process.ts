import { seedTenants } from "../../local/seed/seed.ts";

// A seeding that a test can kill: `node seed-process.ts <tenant> <rows>`, with RC_TEST_POSTGRES_URL.
const [tenant, rows] = process.argv.slice(2);
await seedTenants({
  postgresUrl: process.env["RC_TEST_POSTGRES_URL"] ?? "",
  tenants: [tenant ?? ""],
  rows: Number(rows),
});
