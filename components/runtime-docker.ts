import { Provider } from "@pulumi/docker/provider.js";
import { RunError } from "@pulumi/pulumi/errors.js";
import { resolveReference } from "../migrations/reference.ts";
import { DockerFleet } from "./fleet-docker.ts";
import { DockerKeeper } from "./keeper-docker.ts";
import type { OpenRuntime } from "./runtime.ts";

/** One Docker host, reached as the stack file says. */
export const openDocker: OpenRuntime = (environment, region, opts) => {
  const at = environment.docker;
  if (at === undefined) throw new RunError(`environment ${environment.name}: docker is not in the stack file; add it`);
  const docker = new Provider(`${region.name}-docker`, { host: resolveReference(at.host) }, opts);
  const basePort = Number(resolveReference(at.basePort));
  return {
    fleet: (name, args, options) => new DockerFleet(name, { ...args, docker, basePort }, options),
    // The last port of the block.
    keeper: (name, args, options) => new DockerKeeper(name, { ...args, docker, port: basePort + 99 }, options),
  };
};
