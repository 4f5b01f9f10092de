import { Deployment } from "@pulumi/kubernetes/apps/v1/deployment.js";
import { Secret } from "@pulumi/kubernetes/core/v1/secret.js";
import { NetworkPolicy } from "@pulumi/kubernetes/networking/v1/networkPolicy.js";
import * as pulumi from "@pulumi/pulumi";
import { ClosedNamespace, ours, partLabel } from "./closed-namespace.ts";
import { type KeeperArgs, keeperCredentials, keeperMemoryMib, keeperType } from "./keeper.ts";
import { resourcesOf } from "./quantities.ts";
import { restrictedContainer, restrictedPod, scratch } from "./restricted-pod.ts";
import { podPort, roleLabel, serviceLabel } from "./workload.ts";

const resources = { cpuCores: 0.25, memoryMib: keeperMemoryMib };
/** From start until the keeper must have ended its first round. */
const startSeconds = 60;

/** The keeper as a Deployment of one pod in a namespace of its own, `<environment>-keeper`; only monitoring asks it anything. */
export class KubernetesKeeper extends pulumi.ComponentResource {
  constructor(name: string, args: KeeperArgs, opts?: pulumi.ComponentResourceOptions) {
    super(keeperType, name, {}, opts);
    const child = { parent: this };
    const chosen = { [serviceLabel]: "keeper" };
    const labels = {
      "app.kubernetes.io/part-of": "release-coordinator",
      "release-coordinator/environment": args.environment,
      ...chosen,
    };
    const space = new ClosedNamespace(
      name,
      {
        namespace: `${args.environment}-keeper`,
        labels,
        serverPorts: [args.database.port, args.secrets.port],
        // The pod that leaves and the one that comes.
        quota: { pods: 2, cpuCores: 2 * resources.cpuCores, memoryMib: 2 * resources.memoryMib },
      },
      child,
    );
    const metadata = { namespace: space.namespace, labels, annotations: ours };
    const credentials = new Secret(
      `${name}-credentials`,
      { metadata, immutable: true, stringData: keeperCredentials(args) },
      child,
    );
    const metrics = new NetworkPolicy(
      `${name}-metrics`,
      {
        metadata: { ...metadata, name: "metrics" },
        spec: {
          podSelector: { matchLabels: chosen },
          policyTypes: ["Ingress"],
          ingress: [
            {
              from: [{ namespaceSelector: { matchLabels: { [roleLabel]: "monitoring" } } }],
              ports: [{ protocol: "TCP", port: podPort }],
            },
          ],
        },
      },
      child,
    );
    const get = (path: string) => ({ httpGet: { path, port: podPort }, timeoutSeconds: 5 });
    const patience = `${startSeconds + 120}s`;
    new Deployment(
      name,
      {
        metadata: { ...metadata, name: "keeper" },
        spec: {
          replicas: 1,
          progressDeadlineSeconds: startSeconds + 60,
          revisionHistoryLimit: 2,
          selector: { matchLabels: chosen },
          // Two keepers would only wait for each other's locks.
          strategy: { type: "Recreate" },
          template: {
            metadata: { labels: { ...labels, [partLabel]: "service" } },
            spec: {
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              securityContext: restrictedPod,
              terminationGracePeriodSeconds: 15,
              containers: [
                {
                  name: "keeper",
                  image: args.image.image,
                  env: Object.entries({
                    ENVIRONMENT: args.environment,
                    REGION: args.region,
                    HOST: "0.0.0.0",
                    PORT: String(podPort),
                  }).map(([variable, value]) => ({ name: variable, value })),
                  envFrom: [{ secretRef: { name: credentials.metadata.name } }],
                  ports: [{ name: "http", containerPort: podPort, protocol: "TCP" }],
                  resources: resourcesOf(resources),
                  securityContext: restrictedContainer,
                  startupProbe: { ...get("/healthz"), periodSeconds: 1, failureThreshold: startSeconds },
                  readinessProbe: { ...get("/readyz"), periodSeconds: 10, failureThreshold: 3 },
                  // It is unhealthy while a server is away, and a restart would not bring that back.
                  livenessProbe: { ...get("/healthz"), periodSeconds: 10, failureThreshold: 60 },
                  volumeMounts: [scratch.mount],
                },
              ],
              volumes: [scratch.volume],
            },
          },
        },
      },
      { ...child, dependsOn: [...space.guards, metrics], customTimeouts: { create: patience, update: patience } },
    );
    this.registerOutputs();
  }
}
