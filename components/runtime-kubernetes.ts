import { Provider } from "@pulumi/kubernetes/provider.js";
import { secret } from "@pulumi/pulumi";
import { RunError } from "@pulumi/pulumi/errors.js";
import { resolveReference } from "../migrations/reference.ts";
import { KubernetesFleet } from "./fleet-kubernetes.ts";
import { getImage, readImages } from "./images.ts";
import { KubernetesKeeper } from "./keeper-kubernetes.ts";
import type { OpenRuntime } from "./runtime.ts";

/** One cluster, reached through the region's own context: a wrong default context must not move another region's pods. */
export const openKubernetes: OpenRuntime = (environment, region, opts) => {
  const at = region.cluster;
  if (at === undefined)
    throw new RunError(`region ${region.name}: no cluster; add cluster: {context: ..} to the stack file`);
  const cluster = new Provider(
    `${region.name}-cluster`,
    {
      context: at.context,
      // A file's name, or its content, which holds credentials.
      ...(at.kubeconfig === undefined ? {} : { kubeconfig: secret(resolveReference(at.kubeconfig)) }),
      // The region is the identity: another address or certificate of the same cluster replaces nothing.
      clusterIdentifier: `${environment.name}-${region.name}`,
    },
    opts,
  );
  const smokeImage = getImage(readImages(environment.images), "keeper");
  const within = { providers: [cluster] };
  return {
    fleet: (name, args, options) => new KubernetesFleet(name, { ...args, smokeImage }, { ...options, ...within }),
    keeper: (name, args, options) => new KubernetesKeeper(name, args, { ...options, ...within }),
  };
};
