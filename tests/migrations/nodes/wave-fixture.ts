import { ensureRegistry } from "../../../migrations/registry/registry-schema.ts";
import { Registry } from "../../../migrations/registry/registry.ts";
import { tenantDatabase } from "../../../migrations/registry/tenant-id.ts";
import type { RegionTarget, ReleaseTarget, WaveInputs } from "../../../migrations/wave-inputs.ts";
import { createDatabase, databaseUrl, dropDatabase } from "../../servers.ts";
import { openFixture, r1, r2, type OnboardingFixture } from "../onboarding-fixture.ts";

/** One wave with onboarded tenants, on the registry that the nodes themselves open. */
export interface WaveFixture {
  readonly registry: Registry;
  readonly onboarding: OnboardingFixture;
  /** Onboards tenants of R1, each with some prompts. */
  seed(ids: readonly string[], prompts?: number): Promise<void>;
  /** Inputs of the wave's nodes on the way to a release. */
  inputs(release: ReleaseTarget, changes?: Partial<WaveInputs>): WaveInputs;
  /** Pins by tenant, as the gateway sees them. */
  routes(): Promise<Record<string, string>>;
  close(): Promise<void>;
}

export async function openWave(): Promise<WaveFixture> {
  const onboarding = await openFixture("nodes");
  await createDatabase("rc_registry");
  const url = databaseUrl("rc_registry");
  await ensureRegistry(url, ["platform_r1", "platform_r2"]);
  const registry = new Registry(url);
  const region: RegionTarget = onboarding.region;
  return {
    registry,
    onboarding,
    async seed(ids, prompts = 20) {
      const results = await onboarding.onboard(r1, ids, { registryUrl: url });
      for (const { status, reason } of results) if (status === "failed") throw new Error(reason);
      for (const id of ids)
        await onboarding.query(id, [
          `WITH added AS (INSERT INTO prompts (title) SELECT 'p' || n FROM generate_series(1, ${prompts}) AS n RETURNING id)
           INSERT INTO prompt_bodies SELECT id, 'body of ' || id FROM added`,
        ]);
    },
    inputs: (release, changes = {}) => ({
      kind: "prepare",
      environment: "onb",
      wave: "general",
      waves: [{ name: "general", selector: { rest: true } }],
      regions: [region],
      release,
      back: release.id === "r1" ? r2 : r1,
      releaseRoles: ["platform_r1", "platform_r2"],
      deadlineSeconds: 120,
      concurrency: 2,
      ...changes,
    }),
    async routes() {
      return Object.fromEntries((await registry.routes.list()).map(({ tenant, pin }) => [tenant, pin]));
    },
    async close() {
      await registry.close();
      await onboarding.close();
      await dropDatabase("rc_registry");
    },
  };
}

/** SQL that lets nobody into a tenant's database any more, or lets them again. */
export const shut = (tenant: string, isShut: boolean): string[] => [
  `ALTER DATABASE ${tenantDatabase(tenant)} ALLOW_CONNECTIONS ${String(!isShut)}`,
];
