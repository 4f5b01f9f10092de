import { applyObject } from "../kubernetes/apply.ts";
import type { KubernetesObject } from "../kubernetes/apply.ts";
import { readKubeconfig } from "../kubernetes/kubeconfig.ts";
import type { TrafficCarrier, TrafficRegion } from "../traffic.ts";
import { sharesOf, type TrafficSplit, wantedReleaseHeader } from "./split.ts";

export interface HttpRouteArgs {
  readonly environment: string;
  readonly carrier: Extract<TrafficCarrier, { kind: "gateway-api" }>;
  readonly split: TrafficSplit;
}

/** The namespace of a release's fleet, as `components/fleet-kubernetes.ts` names it. */
const namespaceOf = (environment: string, release: string): string => `${environment}-${release}`;
/** Port of every Service of a fleet. */
const servicePort = 80;

/**
 * A split as the Gateway API's HTTPRoute: by path, first to the release that the header names, else by weight between the
 * Services of the two fleets.
 */
export function renderHttpRoute({ environment, carrier, split }: HttpRouteArgs): KubernetesObject {
  const shares = sharesOf(split);
  const backend = (release: string, service: string, weight: number) => ({
    name: service,
    namespace: namespaceOf(environment, release),
    port: servicePort,
    weight,
  });
  const path = (value: string) => ({ type: "PathPrefix", value });
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: `${environment}-traffic`, namespace: carrier.namespace, labels: labelsOf(environment) },
    spec: {
      parentRefs: [{ name: carrier.gateway }],
      rules: split.paths.flatMap((each) => [
        ...shares.map(({ release }) => ({
          matches: [{ path: path(each.path), headers: [{ type: "Exact", name: wantedReleaseHeader, value: release }] }],
          backendRefs: [backend(release, each.service, 1)],
        })),
        {
          matches: [{ path: path(each.path) }],
          backendRefs: shares.map(({ release, percent }) => backend(release, each.service, percent)),
        },
      ]),
    },
  };
}

/** What lets routes of the gateway's namespace name the Services of a fleet. */
export function renderReferenceGrant({ environment, carrier }: HttpRouteArgs, release: string): KubernetesObject {
  return {
    apiVersion: "gateway.networking.k8s.io/v1beta1",
    kind: "ReferenceGrant",
    metadata: { name: "traffic", namespace: namespaceOf(environment, release), labels: labelsOf(environment) },
    spec: {
      from: [{ group: "gateway.networking.k8s.io", kind: "HTTPRoute", namespace: carrier.namespace }],
      to: [{ group: "", kind: "Service" }],
    },
  };
}

/** @throws naming region, object and the API server's words */
export async function applyHttpRoute(args: HttpRouteArgs & { readonly region: TrafficRegion }): Promise<void> {
  const { region, split } = args;
  if (region.cluster === undefined)
    throw new Error(`region ${region.name}: no cluster; add cluster: {context: ..} to the stack file`);
  try {
    const at = await readKubeconfig(region.cluster);
    // Before the route: without the grant a gateway answers 500 for the share of that fleet.
    for (const { release } of sharesOf(split))
      await applyObject(at, "referencegrants", renderReferenceGrant(args, release));
    await applyObject(at, "httproutes", renderHttpRoute(args));
  } catch (error) {
    throw new Error(`region ${region.name}, traffic: ${(error as Error).message}`, { cause: error });
  }
}

const labelsOf = (environment: string) => ({
  "app.kubernetes.io/part-of": "release-coordinator",
  "release-coordinator/environment": environment,
});
