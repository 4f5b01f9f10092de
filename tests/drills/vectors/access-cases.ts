import { randomBytes } from "node:crypto";
import { onMilvus, onPgvector } from "../../migrations/vector-store/vector-fixture.ts";
import type { DrillCase } from "../drill.ts";
import { judgeVectors } from "./judge-vectors.ts";
import { goOn, vectorCase, type VectorScene } from "./vector-case.ts";

/** Passwords, users and rights that are wrong, or become so. */
export const accessCases: readonly DrillCase[] = [
  vectorCase("the password is wrong: stops before anything is captured", "off", async ({ tenant }) => {
    const { password } = tenant.access;
    tenant.access.password = "wrong-password";
    await tenant.stop("prepare", onMilvus, /denied/);
    const captured = await tenant.admin.query("SELECT FROM pg_trigger WHERE tgname = 'zz_rc_capture'");
    if (captured.rowCount !== 0) throw new Error("changes are captured for a copy that cannot begin");
    tenant.access.password = password;
    await goOn(tenant, "Milvus");
    await judgeVectors(tenant, "switched");
  }),
  vectorCase("the password is wrong on the way back", "switched", async ({ tenant }) => {
    const { password } = tenant.access;
    await tenant.change();
    tenant.access.password = "wrong-password";
    await tenant.stop("prepare", onPgvector, /denied/);
    tenant.access.password = password;
    await goOn(tenant, "pgvector");
    await judgeVectors(tenant, "mirroring");
  }),
  ...(["Upsert", "Query"] as const).map((method) =>
    vectorCase(`the run's own user is dropped before ${method}: stops, says why, goes on`, "off", async (scene) => {
      const { tenant, proxy } = scene;
      void proxy.set(method, { before: () => dropUsers(scene) }, { skip: method === "Query" ? 2 : 1 });
      await tenant.stop("prepare", onMilvus, /denied/);
      await goOn(tenant, "Milvus");
      await judgeVectors(tenant, "switched");
    }),
  ),
  vectorCase("the region's user may make no users: stops, names the rights", "off", async ({ tenant }) => {
    const { user, password } = tenant.access;
    const [name, secret] = [`drill_${randomBytes(4).toString("hex")}`, randomBytes(16).toString("hex")];
    await tenant.stock.client.createUser({ username: name, password: secret });
    Object.assign(tenant.access, { user: name, password: secret });
    try {
      await tenant.stop("prepare", onMilvus, /denied/);
    } finally {
      await tenant.stock.client.deleteUser({ username: name });
    }
    Object.assign(tenant.access, { user, password });
    await goOn(tenant, "Milvus");
    await judgeVectors(tenant, "switched");
  }),
];

async function dropUsers({ tenant }: VectorScene): Promise<void> {
  const { usernames } = await tenant.stock.client.listUsers();
  for (const username of usernames.filter((name) => /^rc_[0-9a-f]{16}_/.test(name)))
    await tenant.stock.client.deleteUser({ username });
  // Until Milvus's proxies have heard of it.
  await new Promise((resolve) => setTimeout(resolve, 500));
}
