import { join } from "node:path";
import type { MigrationNode } from "../../migrations/nodes/node.ts";
import type { WaveInputs } from "../../migrations/wave-inputs.ts";
import { r2 } from "../migrations/mirror/tenant-fixture.ts";
import { getPostgresUrl } from "../servers.ts";
import type { DrillCase } from "./drill.ts";
import { DrillWave } from "./drill-wave.ts";
import { judge } from "./judge.ts";
import { PostgresProxy } from "./postgres-proxy.ts";
import { proxiedRegion } from "./proxied-region.ts";
import type { Stage } from "./stage.ts";
import { Traffic } from "./traffic.ts";

type Kind = "prepare" | "cutover";

/** Answers of the registry that are lost: it must end up telling the same as the tenant's own ledger. */
export const lostRegistryCases: readonly DrillCase[] = [
  registryCase("the beginning of a wave's step", /^INSERT INTO registry\.wave_step /, "prepare"),
  registryCase("the projection of a ledger", /^INSERT INTO registry\.tenant_state /, "prepare"),
  registryCase("the route", /^INSERT INTO registry\.route /, "cutover"),
];

function registryCase(what: string, statement: RegExp, at: Kind): DrillCase {
  return {
    title: `the registry's answer to ${what} is lost in ${at}`,
    async run(stage, random) {
      const tenant = await stage.tenant("off");
      await using wave = await DrillWave.make([tenant]);
      const traffic = new Traffic(tenant, stage.base, random);
      traffic.start();
      try {
        await using proxy = await PostgresProxy.start(getPostgresUrl());
        const region = proxiedRegion({ postgres: proxy });
        if (at === "cutover") await (await nodeOf(stage, "prepare")).run(wave.inputs("prepare", r2, region));
        const lost = proxy.loseAnswer({ session: /^rc-registry$/, statement });
        const node = await nodeOf(stage, at);
        const told = await node.run(wave.inputs(at, r2, region)).then(
          ({ status }) => status,
          (error: Error) => error.message,
        );
        await lost;
        if (told !== "done") throw new Error(`the node says: ${told}`);
        for (const kind of ["prepare", "cutover"] as const) {
          const { status, summary } = await (await nodeOf(stage, kind)).run(wave.inputs(kind, r2, region));
          if (status !== "done") throw new Error(`the next update's ${kind} ended ${status}: ${summary}`);
        }
      } finally {
        await traffic.stop();
      }
      const known = await wave.known(tenant.tenant);
      const wanted = { pin: r2.pin, position: "switched", steps: ["prepare done", "cutover done"] };
      if (JSON.stringify(known) !== JSON.stringify(wanted))
        throw new Error(`the registry says ${JSON.stringify(known)}, the tenant is at ${JSON.stringify(wanted)}`);
      await judge(tenant, traffic.log, "switched");
    },
  };
}

async function nodeOf(stage: Stage, kind: Kind): Promise<MigrationNode<WaveInputs>> {
  const file = join(stage.migrationsFolder, "nodes", `${kind}-node.ts`);
  return ((await import(file)) as Record<string, MigrationNode<WaveInputs>>)[
    `${kind}Node`
  ] as MigrationNode<WaveInputs>;
}
