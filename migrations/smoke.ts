import type * as pulumi from "@pulumi/pulumi";
import { MigrationResource } from "./migration-resource.ts";

/** Plain JSON of a smoke test: one service of one release, asked on its own probe tenant. */
export interface SmokeInputs {
  readonly kind: "smoke";
  /** `platform-api`, `knowledge-rag`, `agent-orchestrator` or another name with `/healthz` and `/readyz`. */
  readonly service: string;
  /** The pin whose name `/readyz` has to say. */
  readonly pin: string;
  /** Base address, e.g. `http://127.0.0.1:18001`. */
  readonly url: string;
  readonly probeTenant: string;
  /** Paths asked with GET on the probe tenant, e.g. `/tenants/probe-r1/prompts?limit=1`; each must answer 200. */
  readonly paths: readonly string[];
  /** Identity of the running container, so that a new container is tested again. */
  readonly container: string;
  /** 1 to 600. */
  readonly deadlineSeconds: number;
}

export type SmokeArgs = { readonly [K in keyof Omit<SmokeInputs, "kind">]: pulumi.Input<SmokeInputs[K]> };

/** Asks a service for its health and for real answers on the probe tenant before anything that depends on it starts. */
export class Smoke extends MigrationResource {
  constructor(name: string, args: SmokeArgs, opts?: pulumi.CustomResourceOptions) {
    super({ kind: "smoke", name: "Smoke" }, name, args, opts);
  }
}
