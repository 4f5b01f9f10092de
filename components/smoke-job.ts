import { Job } from "@pulumi/kubernetes/batch/v1/job.js";
import type * as pulumi from "@pulumi/pulumi";
import type { SmokeInputs } from "../migrations/smoke.ts";
import { ours, partLabel } from "./closed-namespace.ts";
import { resourcesOf } from "./quantities.ts";
import { restrictedContainer, restrictedPod } from "./restricted-pod.ts";

/** What a smoke test asks of the cluster. */
export const smokeResources = { cpuCores: 0.1, memoryMib: 128 };

export interface SmokeJobArgs {
  readonly namespace: pulumi.Input<string>;
  readonly labels: Readonly<Record<string, string>>;
  /** The coordinator's own image. */
  readonly image: string;
  readonly questions: Omit<SmokeInputs, "kind">;
}

/**
 * The smoke test of one service, from inside the cluster, where the network policies hold: a Job that ends well when
 * health, name and the probe tenant's answers are right. A new image of the service is a new test.
 */
export class SmokeJob extends Job {
  constructor(
    name: string,
    { namespace, labels, image, questions }: SmokeJobArgs,
    opts?: pulumi.CustomResourceOptions,
  ) {
    const { deadlineSeconds } = questions;
    super(
      name,
      {
        // No name of ours: a Job cannot be changed, and the next test must not wait until this one is gone.
        metadata: { namespace, labels, annotations: ours },
        spec: {
          backoffLimit: 1,
          activeDeadlineSeconds: 2 * deadlineSeconds + 60,
          template: {
            metadata: { labels: { ...labels, [partLabel]: "smoke" } },
            spec: {
              restartPolicy: "Never",
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              securityContext: restrictedPod,
              containers: [
                {
                  name: "smoke",
                  image,
                  command: ["/node", "/service/service.mjs", "smoke"],
                  env: [{ name: "SMOKE", value: JSON.stringify({ kind: "smoke", ...questions }) }],
                  resources: resourcesOf(smokeResources),
                  securityContext: restrictedContainer,
                },
              ],
            },
          },
        },
      },
      { ...opts, customTimeouts: { create: `${2 * deadlineSeconds + 120}s` } },
    );
  }
}
