import { Namespace } from "@pulumi/kubernetes/core/v1/namespace.js";
import { ResourceQuota } from "@pulumi/kubernetes/core/v1/resourceQuota.js";
import { NetworkPolicy } from "@pulumi/kubernetes/networking/v1/networkPolicy.js";
import * as pulumi from "@pulumi/pulumi";
import { cpuOf, memoryOf } from "./quantities.ts";

/** Written on every object of ours: what we name is ours, and what a person changed there by hand is taken back. */
export const ours = { "pulumi.com/patchForce": "true" };

/** Label that tells what a pod is for; policies choose by it. */
export const partLabel = "release-coordinator/part";

export interface ClosedNamespaceArgs {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** TCP ports of the servers outside of the cluster that pods of part `service` may reach. */
  readonly serverPorts: readonly pulumi.Input<number>[];
  /** The most that all pods together may ask for. */
  readonly quota: { readonly pods: number; readonly cpuCores: number; readonly memoryMib: number };
}

/**
 * A namespace that lets nothing in and nothing out but DNS and the region's servers, runs restricted pods only, and cannot
 * outgrow its quota. Removing it removes everything in it.
 */
export class ClosedNamespace extends pulumi.ComponentResource {
  readonly namespace: pulumi.Output<string>;
  /** What has to stand before the first pod starts. */
  readonly guards: readonly pulumi.Resource[];

  constructor(name: string, args: ClosedNamespaceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("release-coordinator:components:ClosedNamespace", name, {}, opts);
    const child = { parent: this };
    const profile = "restricted";
    const namespace = new Namespace(
      name,
      {
        metadata: {
          name: args.namespace,
          annotations: ours,
          labels: {
            ...args.labels,
            "pod-security.kubernetes.io/enforce": profile,
            "pod-security.kubernetes.io/audit": profile,
            "pod-security.kubernetes.io/warn": profile,
          },
        },
      },
      child,
    );
    this.namespace = namespace.metadata.name;
    const metadata = (objectName: string) => ({
      name: objectName,
      namespace: this.namespace,
      labels: args.labels,
      annotations: ours,
    });

    const quota = new ResourceQuota(
      `${name}-quota`,
      {
        metadata: metadata("fleet"),
        spec: {
          hard: {
            pods: String(args.quota.pods),
            "requests.cpu": cpuOf(args.quota.cpuCores),
            "requests.memory": memoryOf(args.quota.memoryMib),
            "limits.memory": memoryOf(args.quota.memoryMib),
          },
        },
      },
      child,
    );
    const closed = new NetworkPolicy(
      `${name}-closed`,
      { metadata: metadata("closed"), spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] } },
      child,
    );
    const dns = new NetworkPolicy(
      `${name}-dns`,
      {
        metadata: metadata("dns"),
        spec: {
          podSelector: {},
          policyTypes: ["Egress"],
          egress: [
            {
              to: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } } }],
              ports: [
                { protocol: "UDP", port: 53 },
                { protocol: "TCP", port: 53 },
              ],
            },
          ],
        },
      },
      child,
    );
    const servers = new NetworkPolicy(
      `${name}-servers`,
      {
        metadata: metadata("servers"),
        spec: {
          podSelector: { matchLabels: { [partLabel]: "service" } },
          policyTypes: ["Egress"],
          // To any address: a policy knows no host names, and the servers stand outside of the cluster.
          egress: [{ ports: args.serverPorts.map((port) => ({ protocol: "TCP", port })) }],
        },
      },
      child,
    );
    this.guards = [quota, closed, dns, servers];
    this.registerOutputs({ namespace: this.namespace });
  }
}
