import type * as pulumi from "@pulumi/pulumi";
import type { Environment } from "../releases/environment.ts";
import type { Fleet, FleetArgs } from "./fleet.ts";
import type { KeeperArgs } from "./keeper.ts";

/** What runs the processes of one region: a Docker host or a cluster. */
export interface Runtime {
  fleet(name: string, args: FleetArgs, opts: pulumi.ComponentResourceOptions): Fleet;
  keeper(name: string, args: KeeperArgs, opts: pulumi.ComponentResourceOptions): pulumi.ComponentResource;
}

/** Connects to what a region's processes run on. @throws when a reference of the stack file leads nowhere */
export type OpenRuntime = (
  environment: Environment,
  region: Environment["regions"][number],
  opts: pulumi.ComponentResourceOptions,
) => Runtime;

/** Loads the runtime that the environment names, and with it the one provider package that it needs. */
export async function loadRuntime({ runtime }: Environment): Promise<OpenRuntime> {
  if (runtime === "kubernetes") return (await import("./runtime-kubernetes.ts")).openKubernetes;
  return (await import("./runtime-docker.ts")).openDocker;
}
