import { setWhereabouts } from "../../migrations/ledger/whereabouts.ts";
import { ensureRegistry } from "../../migrations/registry/registry-schema.ts";
import { Registry } from "../../migrations/registry/registry.ts";
import type { ReleaseTarget } from "../../migrations/wave-inputs.ts";
import { allReleases } from "../../releases/catalog.ts";
import { createRolesOfLaterReleases } from "../coordinator/command-fixture.ts";
import { CommandWorld } from "../coordinator/command-world.ts";
import { createDatabase, databaseUrl, dropDatabase } from "../servers.ts";
import { type DrillTenant, environment } from "./drill-tenant.ts";
import type { Stage } from "./stage.ts";
import { catalogR1, catalogR2, WaveStack } from "./wave-stack.ts";

const registryDatabase = "rc_registry";

/** A tenant that takes part in an update. */
export interface WorldMember {
  readonly tenant: DrillTenant;
  /** The release that serves it at the beginning. */
  readonly at: ReleaseTarget;
  readonly tags?: readonly string[];
}

/** A registry with tenants, services that say they are ready, and a stack whose waves move the tenants. */
export class WaveWorld {
  readonly registry: Registry;
  readonly stack: WaveStack;
  readonly #services: CommandWorld;

  private constructor(registry: Registry, stack: WaveStack) {
    this.registry = registry;
    this.stack = stack;
    this.#services = new CommandWorld(registry);
  }

  static async open(stage: Stage, members: readonly WorldMember[], waves?: readonly string[]): Promise<WaveWorld> {
    await createDatabase(registryDatabase);
    await createRolesOfLaterReleases();
    const url = databaseUrl(registryDatabase);
    await ensureRegistry(
      url,
      allReleases().map(({ id }) => `platform_${id}`),
    );
    const world = new WaveWorld(new Registry(url), await WaveStack.make(stage.migrationsFolder, waves));
    for (const member of members) await world.add(member);
    for (const { id: release, hash } of [catalogR1, catalogR2])
      await world.registry.records.addVerification({ environment, release, hash, evidence: {} });
    for (const offset of [1, 2, 3, 4]) {
      await world.#services.serve(world.stack.basePort + offset, catalogR1.pin);
      await world.#services.serve(world.stack.basePort + 20 + offset, catalogR2.pin);
    }
    return world;
  }

  /** Registers a tenant as served. */
  async add({ tenant: { tenant, database, admin }, at, tags = [] }: WorldMember): Promise<void> {
    const to = { release: at.id, pin: at.pin };
    await setWhereabouts(admin, { tenant, ...to });
    await this.registry.transaction(async ({ tenants, routes }) => {
      await tenants.register([{ id: tenant, region: "local", tags, database, isProbe: false, bornRelease: at.id }]);
      await routes.point([tenant], to);
      await tenants.setStatus("onboarding", "active", { ids: [tenant] });
    });
  }

  /** The pin that the gateway follows for a tenant. */
  async routeOf({ tenant }: DrillTenant): Promise<string | undefined> {
    return (await this.registry.routes.list([tenant]))[0]?.pin;
  }

  async close(): Promise<void> {
    await this.stack.close();
    await this.#services.stop();
    await this.registry.close();
    await dropDatabase(registryDatabase);
  }
}
