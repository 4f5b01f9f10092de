import { Deployment } from "@pulumi/kubernetes/apps/v1/deployment.js";
import { HorizontalPodAutoscaler } from "@pulumi/kubernetes/autoscaling/v2/horizontalPodAutoscaler.js";
import { Service as KubernetesService } from "@pulumi/kubernetes/core/v1/service.js";
import { NetworkPolicy } from "@pulumi/kubernetes/networking/v1/networkPolicy.js";
import { PodDisruptionBudget } from "@pulumi/kubernetes/policy/v1/podDisruptionBudget.js";
import * as pulumi from "@pulumi/pulumi";
import type { Service } from "../releases/service.ts";
import { ours, partLabel } from "./closed-namespace.ts";
import { podsOf, resourcesOf } from "./quantities.ts";
import { restrictedContainer, restrictedPod, scratch } from "./restricted-pod.ts";

/** Port of every service inside its pods; clients ask the Service, at port 80. */
export const podPort = 8080;

/** Label of a pod with its service's name. */
export const serviceLabel = "app.kubernetes.io/name";

/** Namespaces with this label, `gateway` or `monitoring`, may reach into fleets. */
export const roleLabel = "release-coordinator/role";

export interface WorkloadArgs {
  readonly service: Service;
  readonly namespace: pulumi.Input<string>;
  readonly labels: Readonly<Record<string, string>>;
  /** Name with its digest. */
  readonly image: string;
  readonly variables: Readonly<Record<string, string>>;
  /** Secret of the namespace whose keys become variables. */
  readonly credentials: pulumi.Input<string>;
  /** Services of the fleet that call this one. */
  readonly callers: readonly string[];
  /** Services of the fleet that this one calls. */
  readonly called: readonly string[];
  /** Whether the region's gateway sends requests here. */
  readonly isBehindGateway: boolean;
}

/**
 * One service of a fleet: pods that are replaced one by one, found by name, spread over zones and nodes, scaled by load,
 * and reached by nobody but their callers.
 */
export class Workload extends pulumi.ComponentResource {
  readonly deployment: Deployment;

  constructor(name: string, args: WorkloadArgs, opts?: pulumi.ComponentResourceOptions) {
    super("release-coordinator:components:Workload", name, {}, opts);
    const child = { parent: this };
    const { service, namespace } = args;
    const chosen = { [serviceLabel]: service.name };
    const labels = { ...args.labels, ...chosen };
    const metadata = { name: service.name, namespace, labels, annotations: ours };

    const door = new NetworkPolicy(`${name}-door`, { metadata, spec: doorOf(args) }, child);
    const found = new KubernetesService(
      name,
      {
        // A Service without ready pods is no fault yet: its Deployment tells.
        metadata: { ...metadata, annotations: { ...ours, "pulumi.com/skipAwait": "true" } },
        spec: { selector: chosen, ports: [{ name: "http", port: 80, targetPort: podPort, protocol: "TCP" }] },
      },
      child,
    );
    // Kubernetes' own verdict must come before our patience ends, or the update ends without the pod's reason.
    const progressSeconds = service.probes.startSeconds + 60;
    const patience = `${progressSeconds + 60}s`;
    this.deployment = new Deployment(
      name,
      {
        metadata,
        spec: {
          // No `replicas`: the autoscaler owns them, and every update would take them back.
          progressDeadlineSeconds: progressSeconds,
          revisionHistoryLimit: 2,
          selector: { matchLabels: chosen },
          strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
          template: { metadata: { labels: { ...labels, [partLabel]: "service" } }, spec: podOf(args) },
        },
      },
      { ...child, dependsOn: [door, found], customTimeouts: { create: patience, update: patience } },
    );
    new PodDisruptionBudget(name, { metadata, spec: { maxUnavailable: 1, selector: { matchLabels: chosen } } }, child);
    const { least, most } = podsOf(service);
    new HorizontalPodAutoscaler(
      name,
      {
        metadata,
        spec: {
          scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: this.deployment.metadata.name },
          minReplicas: least,
          maxReplicas: most,
          metrics: [
            { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } } },
          ],
        },
      },
      child,
    );
    this.registerOutputs();
  }
}

/** Who may come in and where the pods may go, besides what holds for the whole namespace. */
function doorOf({ service, callers, called, isBehindGateway }: WorkloadArgs) {
  const ports = [{ protocol: "TCP", port: podPort }];
  const pods = (name: string) => ({ podSelector: { matchLabels: { [serviceLabel]: name } } });
  const outside = (role: string) => ({ namespaceSelector: { matchLabels: { [roleLabel]: role } } });
  return {
    podSelector: { matchLabels: { [serviceLabel]: service.name, [partLabel]: "service" } },
    policyTypes: ["Ingress", "Egress"],
    ingress: [
      {
        from: [
          ...callers.map(pods),
          { podSelector: { matchLabels: { [partLabel]: "smoke" } } },
          outside("monitoring"),
          ...(isBehindGateway ? [outside("gateway")] : []),
        ],
        ports,
      },
    ],
    // An empty list of peers would mean everybody.
    egress: called.length === 0 ? [] : [{ to: called.map(pods), ports }],
  };
}

function podOf({ service, image, variables, credentials }: WorkloadArgs) {
  const { probes } = service;
  const get = (path: string) => ({ httpGet: { path, port: podPort }, timeoutSeconds: 5 });
  const spread = (topologyKey: string) => ({
    maxSkew: 1,
    topologyKey,
    // A small cluster runs them all the same.
    whenUnsatisfiable: "ScheduleAnyway",
    labelSelector: { matchLabels: { [serviceLabel]: service.name } },
    matchLabelKeys: ["pod-template-hash"],
  });
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: restrictedPod,
    terminationGracePeriodSeconds: 30,
    topologySpreadConstraints: [spread("topology.kubernetes.io/zone"), spread("kubernetes.io/hostname")],
    containers: [
      {
        name: service.name,
        image,
        env: Object.entries({ ...variables, HOST: "0.0.0.0", PORT: String(podPort) }).map(([name, value]) => ({
          name,
          value,
        })),
        envFrom: [{ secretRef: { name: credentials } }],
        ports: [{ name: "http", containerPort: podPort, protocol: "TCP" }],
        resources: resourcesOf(service.resources),
        securityContext: restrictedContainer,
        startupProbe: { ...get(probes.health), periodSeconds: 1, failureThreshold: probes.startSeconds },
        readinessProbe: { ...get(probes.ready), periodSeconds: probes.intervalSeconds, failureThreshold: 3 },
        livenessProbe: { ...get(probes.health), periodSeconds: probes.intervalSeconds, failureThreshold: 3 },
        // Proxies need a moment to hear that the pod leaves; until then it answers.
        lifecycle: { preStop: { sleep: { seconds: 5 } } },
        volumeMounts: [scratch.mount],
      },
    ],
    volumes: [scratch.volume],
  };
}
