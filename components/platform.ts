import * as pulumi from "@pulumi/pulumi";
import { Guard } from "../migrations/guard.ts";
import { Flags } from "../migrations/flags.ts";
import { resolveReference } from "../migrations/reference.ts";
import { Tenants } from "../migrations/tenants.ts";
import { probeTenantOf, type RegionTarget } from "../migrations/wave-inputs.ts";
import type { Environment } from "../releases/environment.ts";
import type { Rollout } from "../releases/rollout.ts";
import { Database } from "./database.ts";
import { getImage, readImages } from "./images.ts";
import type { OpenRuntime } from "./runtime.ts";
import { Secrets } from "./secrets.ts";
import { trafficOf } from "./traffic.ts";
import { Wave } from "./wave.ts";

export interface PlatformArgs {
  readonly environment: Environment;
  /** What the environment's pins come to: fleets, waves and flags. */
  readonly rollout: Rollout;
  /** What the processes run on, loaded for this environment's runtime. */
  readonly openRuntime: OpenRuntime;
}

/**
 * One environment at the releases that its waves pin. This file alone writes order:
 * guard -> secrets, database -> tenants -> fleets healthy -> flags off -> prepare -> traffic in steps -> cutover, wave by wave ->
 * traffic flipped -> flags on -> finalize.
 */
export class Platform extends pulumi.ComponentResource {
  /** By wave: what its nodes did last. */
  readonly waves: pulumi.Output<Record<string, string>>;
  readonly tenants: pulumi.Output<string>;

  constructor(
    name: string,
    { environment, rollout, openRuntime }: PlatformArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("release-coordinator:components:Platform", name, { environment: environment.name }, opts);
    const child = { parent: this };
    const targets: RegionTarget[] = environment.regions.map((at) => ({
      name: at.name,
      postgresUrl: at.postgres.url,
      ...(environment.present.vault && at.vault !== undefined
        ? { vaultAddress: at.vault.address, vaultToken: at.vault.token, transitMount: `transit-${environment.name}` }
        : {}),
    }));
    const residency = environment.residency.length === 0 ? {} : { residency: environment.residency };
    const releaseRoles = rollout.targets.map((target) => target.role);
    const releases = rollout.targets.map((target) => target.id);
    const concurrency = 2;

    const guard = new Guard(
      environment.name,
      {
        environment: environment.name,
        regions: targets,
        ...residency,
        waves: rollout.waves.map(({ name: wave, selector, target: release, back }) => ({
          name: wave,
          selector,
          release,
          ...(back === undefined ? {} : { back }),
        })),
        releaseRoles,
        leaving: environment.leaving,
        releases,
      },
      child,
    );
    const guarded = { ...child, dependsOn: [guard] };

    const servers = environment.regions.map((region) => serversOf(environment, region, rollout, guarded));
    const tenants = new Tenants(
      environment.name,
      {
        environment: environment.name,
        regions: targets,
        ...residency,
        seeds: environment.tenants ?? [],
        waves: rollout.waves.map((wave) => ({ name: wave.name, selector: wave.selector, release: wave.target })),
        probes: rollout.fleets.map((fleet) => fleet.target),
        releaseRoles,
        releases,
      },
      { ...child, dependsOn: servers.flatMap(({ database, secrets }) => [database, ...(secrets ? [secrets] : [])]) },
    );

    const images = readImages(environment.images);
    const runtimes = servers.map((at) => ({ ...at, runtime: openRuntime(environment, at.region, guarded) }));
    const keepers = runtimes.flatMap(({ region, database, secrets, runtime }) =>
      secrets === undefined
        ? []
        : runtime.keeper(
            `${region.name}-keeper`,
            {
              environment: environment.name,
              region: region.name,
              image: getImage(images, "keeper"),
              database,
              secrets,
            },
            { ...child, dependsOn: [tenants] },
          ),
    );
    const fleets = rollout.fleets.flatMap(({ release, target }) =>
      runtimes.map(({ region, database, secrets, runtime }) => {
        const probeTenant = probeTenantOf(release, region.name, environment.regions);
        return runtime.fleet(
          `${release.id}-${region.name}`,
          { environment: environment.name, release, target, images, probeTenant, database, secrets },
          { ...child, dependsOn: [tenants] },
        );
      }),
    );

    const flags = (
      phase: "off" | "on",
      names: readonly string[],
      after: readonly pulumi.Resource[],
      awaited?: pulumi.Input<string[]>,
    ): Flags =>
      new Flags(
        `${environment.name}-${phase}`,
        {
          file: environment.flags.file,
          value: phase === "on",
          flags: [...names],
          phase,
          ...(awaited === undefined ? {} : { awaited }),
        },
        { ...child, dependsOn: [...after] },
      );
    const flagsOff = flags("off", rollout.flagsOff, fleets);
    const traffic = trafficOf({ environment, rollout, regions: targets, releaseRoles, concurrency }, child);
    const canary = traffic?.share("canary", [flagsOff]) ?? [];

    // The cutover of a wave waits for those of the waves before it; every prepare may start at once.
    const waves: Wave[] = [];
    for (const wave of rollout.waves)
      waves.push(
        new Wave(
          wave.name,
          {
            environment: environment.name,
            wave: wave.name,
            waves: rollout.waves.map((other) => ({ name: other.name, selector: other.selector })),
            regions: targets,
            ...residency,
            release: wave.target,
            ...(wave.back === undefined ? {} : { back: wave.back }),
            releaseRoles,
            deadlineSeconds: 1500,
            concurrency,
            ...(environment.failureBudget.maxFailedPercent === 0 ? {} : { failureBudget: environment.failureBudget }),
            ...(traffic?.proof === undefined ? {} : { traffic: traffic.proof }),
            ...(environment.backup === undefined ? {} : { backup: environment.backup }),
            prepareAfter: [tenants, flagsOff, ...keepers],
            cutoverAfter: [...fleets, ...canary, ...waves.map((before) => before.cutover)],
            isLeaving: environment.leaving.includes(wave.name),
          },
          child,
        ),
      );
    const cutovers = waves.map((wave) => wave.cutover);
    const flip = traffic?.share("flip", cutovers) ?? [];
    // A cutover that waits for its traffic ends the update well, and its tenants are still where they were.
    const awaited = traffic === undefined ? undefined : pulumi.all(cutovers.map((cutover) => cutover.status));
    const flagsOn = flags("on", rollout.flagsOn, [...cutovers, ...flip], awaited);
    const finals = rollout.waves.map((wave, index) => waves[index]?.finalize(wave.finalize, [flagsOn]));

    this.waves = pulumi.output(
      Object.fromEntries(
        rollout.waves.map(({ name: wave }, index) => [
          wave,
          pulumi.interpolate`${waves[index]?.prepare.summary}; ${waves[index]?.cutover.summary}; ${finals[index]?.summary}`,
        ]),
      ),
    );
    this.tenants = tenants.summary;
    this.registerOutputs({ waves: this.waves, tenants: this.tenants });
  }
}

/** What stands for good in one region. */
interface RegionServers {
  readonly region: Environment["regions"][number];
  readonly database: Database;
  /** Absent when the environment has no Vault. */
  readonly secrets?: Secrets;
}

function serversOf(
  environment: Environment,
  region: Environment["regions"][number],
  rollout: Rollout,
  child: pulumi.ComponentResourceOptions,
): RegionServers {
  const releaseRoles = rollout.targets.map((target) => target.role);
  const url = resolveReference(region.postgres.url);
  const database = () => new Database(region.name, { url, releaseRoles }, child);
  if (!environment.present.vault || region.vault === undefined) return { region, database: database() };
  const secrets = new Secrets(
    region.name,
    {
      environment: environment.name,
      address: resolveReference(region.vault.address),
      token: pulumi.secret(resolveReference(region.vault.token)),
      releases: rollout.vaultReleases,
      isLeaving: environment.leaving.includes("vault"),
    },
    child,
  );
  return { region, secrets, database: database() };
}
