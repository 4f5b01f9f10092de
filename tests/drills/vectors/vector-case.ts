import { getMilvus } from "../../servers.ts";
import type { SeededRandom } from "../../workload/seeded-random.ts";
import type { DrillCase } from "../drill.ts";
import { MilvusProxy } from "./milvus-proxy.ts";
import { onMilvus, onPgvector } from "../../migrations/vector-store/vector-fixture.ts";
import { VectorTenant, type VectorTenantArgs } from "./vector-tenant.ts";

/** Where a tenant stands when a case begins. */
export type Beginning = "off" | "mirroring" | "switched" | "retired";

/** What a case plays with. */
export interface VectorScene {
  readonly tenant: VectorTenant;
  /** In front of Milvus: the engine goes through it, nobody else. */
  readonly proxy: MilvusProxy;
  readonly random: SeededRandom;
}

type Options = Omit<VectorTenantArgs, "milvus" | "migrationsFolder" | "random">;

/** A case with a tenant of its own on the Milvus of this test run, and a proxy before it. */
export function vectorCase(
  title: string,
  from: Beginning,
  play: (scene: VectorScene) => Promise<string | void>,
  options: Options = {},
): DrillCase {
  return {
    title,
    async run(stage, random) {
      const milvus = await getMilvus();
      const { migrationsFolder } = stage;
      await using tenant = await VectorTenant.open({ ...options, milvus, migrationsFolder, random });
      await bringTo(tenant, from);
      await using proxy = await MilvusProxy.start(milvus.address);
      tenant.access.address = proxy.address;
      const remark = await play({ tenant, proxy, random });
      if (proxy.isWaiting) throw new Error("a call that should meet a fault never came");
      return remark;
    },
  };
}

/** Takes a new tenant to where a case begins, with changes of the users on the way. */
export async function bringTo(tenant: VectorTenant, position: Beginning): Promise<void> {
  if (position === "off") return;
  await tenant.move("prepare", onMilvus);
  if (position === "mirroring") return;
  await tenant.move("cutover", onMilvus);
  if (position === "switched") return;
  await tenant.move("finalize", onMilvus);
  await tenant.dropSource();
}

/** The rest of the way to Milvus, or back, from wherever a run has stopped. */
export async function goOn(tenant: VectorTenant, to: "Milvus" | "pgvector"): Promise<void> {
  const release = to === "Milvus" ? onMilvus : onPgvector;
  await tenant.move("prepare", release);
  await tenant.move("cutover", release);
}
