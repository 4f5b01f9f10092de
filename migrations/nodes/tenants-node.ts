import { knowsMore, programHere } from "../program-age.ts";
import { type OnboardingResult, onboardTenants } from "../onboarding.ts";
import { resolveReference } from "../reference.ts";
import { ensureRegistry } from "../registry/registry-schema.ts";
import { registryUrl } from "../registry/registry-session.ts";
import type { Registry } from "../registry/registry.ts";
import { findResidencyFault } from "../registry/residency.ts";
import { findWave } from "../registry/selector.ts";
import type { TenantsInputs } from "../tenants.ts";
import { probeTenantOf, type RegionTarget, type ReleaseTarget } from "../wave-inputs.ts";
import type { MigrationNode } from "./node.ts";
import { isPlatformAbsent, withRegistries } from "./wave-members.ts";

interface Wanted {
  readonly region: RegionTarget;
  readonly release: ReleaseTarget;
  readonly id: string;
  readonly tags: readonly string[];
  readonly isProbe: boolean;
}

/** Makes the registry's tables, and onboards the seed and probe tenants that are not there yet. */
export const tenantsNode: MigrationNode<TenantsInputs> = {
  id: (inputs) => `tenants:${inputs.environment}`,

  refusals: async (inputs) =>
    inputs.seeds.flatMap((seed) => {
      const region = seed.region ?? inputs.regions[0]?.name ?? "";
      const reason = findResidencyFault(inputs.residency ?? [], seed, region);
      return reason === undefined
        ? []
        : [{ property: "seeds", reason: `${reason}; name its region in the stack file` }];
    }),

  async isUnfinished(inputs) {
    return withRegistries(
      inputs,
      { isReadOnly: true },
      async (registries) => (await missing(inputs, registries)).length > 0 || (await isNewProgram(inputs, registries)),
    ).catch((error: unknown) => {
      if (isPlatformAbsent(error)) return true;
      throw error;
    });
  },

  async run(inputs) {
    for (const region of inputs.regions)
      await ensureRegistry(registryUrl(resolveReference(region.postgresUrl)), inputs.releaseRoles);
    return withRegistries(inputs, { isReadOnly: false }, async (registries) => {
      const [home] = registries.values();
      await home?.programs.record(inputs.environment, await programHere(inputs.releases));
      const wanted = await missing(inputs, registries);
      // One group a region and release: one Alembic process each.
      const groups = Map.groupBy(wanted, ({ region, release }) => `${region.name} ${release.pin}`);
      const failed: OnboardingResult[] = [];
      for (const [first, ...rest] of groups.values()) {
        if (first === undefined) continue;
        const results = await onboardTenants({
          environment: inputs.environment,
          region: first.region,
          release: first.release,
          releaseRoles: inputs.releaseRoles,
          tenants: [first, ...rest].map(({ id, tags, isProbe }) => ({ id, tags, isProbe })),
        });
        failed.push(...results.filter((result) => result.status === "failed"));
      }
      if (failed.length > 0)
        throw new Error(
          `onboarding: ${failed.length} of ${wanted.length} tenants failed, the others are served; mend and run pulumi up again:\n` +
            failed.map((result) => `  ${result.reason ?? result.tenant}`).join("\n"),
        );
      const seeds = inputs.seeds.length;
      return {
        status: "done",
        summary: `${seeds} seed tenants and ${inputs.probes.length * inputs.regions.length} probe tenants are served`,
        epoch: [...inputs.seeds.map((seed) => seed.id), ...inputs.probes.map((probe) => probe.pin)].join(","),
      };
    });
  },
};

/** Whether this program has something that the last one here did not have. */
async function isNewProgram(
  { environment, releases }: TenantsInputs,
  registries: ReadonlyMap<RegionTarget, Registry>,
): Promise<boolean> {
  const [home] = registries.values();
  return knowsMore(await programHere(releases), await home?.programs.find(environment));
}

/** Seed and probe tenants that the registry does not know as served: one query a region. */
async function missing(inputs: TenantsInputs, registries: ReadonlyMap<RegionTarget, Registry>): Promise<Wanted[]> {
  const [home] = inputs.regions;
  const perRegion = await Promise.all(
    [...registries].map(async ([region, registry]) => {
      const known = await registry.tenants.list({ region: region.name, statuses: ["active", "suspended"] });
      const served = new Set(known.map((tenant) => tenant.id));
      const seeds = inputs.seeds
        .filter((seed) => (seed.region ?? home?.name) === region.name)
        .map(({ id, tags }) => ({ id, tags, isProbe: false, release: releaseFor(inputs, id, tags) }));
      const probes = inputs.probes.map((release) => ({
        id: probeTenantOf(release, region.name, inputs.regions),
        tags: [],
        isProbe: true,
        release,
      }));
      return [...seeds, ...probes].filter(({ id }) => !served.has(id)).map((tenant) => ({ ...tenant, region }));
    }),
  );
  return perRegion.flat();
}

/** The release that a new tenant is born under: that of the wave it falls into. @throws when no wave takes it */
function releaseFor(inputs: TenantsInputs, id: string, tags: readonly string[]): ReleaseTarget {
  const wave = findWave(inputs.waves, { id, tags, isProbe: false, status: "active" });
  const release = inputs.waves.find(({ name }) => name === wave?.name)?.release;
  if (release === undefined)
    throw new Error(
      `tenant ${id} (tags: ${tags.join(", ") || "none"}) falls into no wave; give the last wave the selector {rest: true}`,
    );
  return release;
}
