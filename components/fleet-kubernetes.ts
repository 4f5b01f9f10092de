import { Secret } from "@pulumi/kubernetes/core/v1/secret.js";
import { NetworkPolicy } from "@pulumi/kubernetes/networking/v1/networkPolicy.js";
import * as pulumi from "@pulumi/pulumi";
import type { Service } from "../releases/service.ts";
import { ClosedNamespace, ours, partLabel } from "./closed-namespace.ts";
import { fleetCredentials } from "./fleet-credentials.ts";
import { type Fleet, type FleetArgs, fleetType, questionsFor, startOrder } from "./fleet.ts";
import { type Image, getImage } from "./images.ts";
import { podsOf } from "./quantities.ts";
import { SmokeJob, smokeResources } from "./smoke-job.ts";
import { podPort, Workload } from "./workload.ts";

export interface KubernetesFleetArgs extends FleetArgs {
  /** The coordinator's own image, which holds the smoke test. */
  readonly smokeImage: Image;
}

/**
 * A fleet as one namespace of the region's cluster, `<environment>-<release>`. An object that is there already is adopted:
 * everything is applied by the server, by field.
 */
export class KubernetesFleet extends pulumi.ComponentResource implements Fleet {
  readonly ready: pulumi.Output<string>;

  constructor(name: string, args: KubernetesFleetArgs, opts?: pulumi.ComponentResourceOptions) {
    super(fleetType, name, args.target, opts);
    const services = startOrder(args.release.services);
    const labels = {
      "app.kubernetes.io/part-of": "release-coordinator",
      "release-coordinator/environment": args.environment,
      "release-coordinator/release": args.release.id,
    };
    const space = new ClosedNamespace(
      name,
      {
        namespace: `${args.environment}-${args.release.id}`,
        labels,
        serverPorts: [args.database.port, ...(args.release.vault.isNeeded && args.secrets ? [args.secrets.port] : [])],
        quota: quotaOf(services),
      },
      { parent: this },
    );
    const { namespace } = space;
    const metadata = { namespace, labels, annotations: ours };
    const credentials = new Secret(
      `${name}-credentials`,
      // No name of ours: other credentials are another Secret, so that pods are replaced and keep what they started with.
      { metadata, immutable: true, stringData: fleetCredentials(args) },
      { parent: this },
    );
    const asking = new NetworkPolicy(
      `${name}-smoke`,
      {
        metadata: { ...metadata, name: "smoke" },
        spec: {
          podSelector: { matchLabels: { [partLabel]: "smoke" } },
          policyTypes: ["Egress"],
          egress: [
            {
              to: [{ podSelector: { matchLabels: { [partLabel]: "service" } } }],
              ports: [{ protocol: "TCP", port: podPort }],
            },
          ],
        },
      },
      { parent: this },
    );

    const gateway = args.release.services.filter((service) => service.kind === "gateway");
    const smokes = new Map<string, SmokeJob>();
    for (const service of services) {
      const image = getImage(args.images, `${args.release.id}/${service.name}`);
      const workload = new Workload(
        `${name}-${service.name}`,
        {
          service,
          namespace,
          labels,
          image: image.image,
          variables: {
            SERVICE: service.name,
            ENVIRONMENT: args.environment,
            RELEASE: args.release.id,
            RELEASE_PIN: args.target.pin,
          },
          credentials: credentials.metadata.name,
          callers: services.filter((other) => other.dependsOn.includes(service.name)).map((other) => other.name),
          called: service.dependsOn,
          isBehindGateway: gateway.some((other) => other.dependsOn.includes(service.name)),
        },
        {
          parent: this,
          dependsOn: [...space.guards, ...service.dependsOn.flatMap((other) => smokes.get(other) ?? [])],
        },
      );
      smokes.set(
        service.name,
        new SmokeJob(
          `${name}-${service.name}-smoke`,
          {
            namespace,
            labels,
            image: args.smokeImage.image,
            questions: {
              service: service.name,
              pin: args.target.pin,
              url: `http://${service.name}`,
              probeTenant: args.probeTenant,
              paths: questionsFor(service, args.probeTenant),
              container: image.digest,
              deadlineSeconds: service.probes.startSeconds + 30,
            },
          },
          { parent: this, dependsOn: [asking, workload.deployment] },
        ),
      );
    }
    this.ready = pulumi
      .all([...smokes.values()].map((smoke) => smoke.metadata.name))
      .apply((all) => `${all.length} of ${services.length} services of ${args.target.pin} passed their smoke test`);
    this.registerOutputs({ ready: this.ready });
  }
}

/** Every service at its largest, one pod more each while it is replaced, and a smoke test each. */
function quotaOf(services: readonly Service[]) {
  const sum = (of: (service: Service, pods: number) => number) =>
    services.reduce((total, service) => total + of(service, podsOf(service).most + 1), 0);
  return {
    pods: sum((_service, pods) => pods + 1),
    cpuCores: sum(({ resources }, pods) => pods * resources.cpuCores + smokeResources.cpuCores),
    memoryMib: sum(({ resources }, pods) => pods * resources.memoryMib + smokeResources.memoryMib),
  };
}
