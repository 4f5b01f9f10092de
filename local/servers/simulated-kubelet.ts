/** A node that exists in the API only. */
export interface SimulatedNode {
  readonly name: string;
  /** Availability zone, e.g. `eu-a`. */
  readonly zone: string;
  readonly cpuCores: number;
  readonly memoryMib: number;
}

/** The object of a node, for the API server. */
export function nodeObject({ name, zone, cpuCores, memoryMib }: SimulatedNode): object {
  const room = { cpu: String(cpuCores), memory: `${memoryMib}Mi`, pods: "110", "ephemeral-storage": "100Gi" };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      labels: {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": zone,
      },
    },
    status: { capacity: room, allocatable: room },
  };
}

const podStage = (name: string, matchExpressions: readonly object[], next: object): object => ({
  apiVersion: "kwok.x-k8s.io/v1alpha1",
  kind: "Stage",
  metadata: { name },
  spec: { resourceRef: { apiGroup: "v1", kind: "Pod" }, selector: { matchExpressions }, next },
});
const alive = { key: ".metadata.deletionTimestamp", operator: "DoesNotExist" };

/**
 * How pods live on simulated nodes, as documents of kwok: their containers run and are ready at once, those of a Job end well, and
 * a deleted pod is gone. A pod with an image that cannot be pulled stays pending in the kubelet's words.
 * @param absentImages images, as pods name them, that no registry has
 */
export function podStages(absentImages: readonly string[] = []): readonly object[] {
  const image = (operator: "In" | "NotIn") => ({ key: ".spec.containers[].image", operator, values: absentImages });
  const unstarted = { key: ".status.podIP", operator: "DoesNotExist" };
  const containers = (state: string, isReady: boolean): string =>
    `containerStatuses:\n{{ range .spec.containers }}\n- image: {{ .image | Quote }}\n  name: {{ .name | Quote }}\n` +
    `  imageID: ""\n  ready: ${isReady}\n  started: ${isReady}\n  restartCount: 0\n  state:\n    ${state}\n{{ end }}\n`;
  const conditions = (ready: string): string =>
    "conditions:\n" +
    [`Initialized True`, `Ready ${ready}`, `ContainersReady ${ready}`]
      .map((each) => each.split(" "))
      .map(([type, status]) => `- { type: ${type}, status: "${status}", lastTransitionTime: {{ Now | Quote }} }\n`)
      .join("");
  const place = "hostIP: {{ NodeIPWith .spec.nodeName | Quote }}\n";
  const ownIp =
    'podIP: {{ PodIPWith .spec.nodeName false ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) | Quote }}\n';
  const start = "startTime: {{ Now | Quote }}\n";
  const pulling = {
    statusTemplate:
      `phase: Pending\n${start}${place}${conditions("False")}` +
      containers(
        '{ waiting: { reason: ImagePullBackOff, message: {{ printf "Back-off pulling image %q: not found" .image | Quote }} } }',
        false,
      ),
  };
  const running = {
    statusTemplate:
      `phase: Running\n${start}${place}${ownIp}${conditions("True")}` +
      containers("{ running: { startedAt: {{ Now | Quote }} } }", true),
  };
  const completed = {
    statusTemplate:
      `phase: Succeeded\n${conditions("False")}` +
      containers(
        "{ terminated: { exitCode: 0, reason: Completed, startedAt: {{ Now | Quote }}, finishedAt: {{ Now | Quote }} } }",
        false,
      ),
  };
  const phase = (value: string) => ({ key: ".status.phase", operator: "In", values: [value] });
  const ofJob = { key: ".metadata.ownerReferences.[].kind", operator: "In", values: ["Job"] };
  return [
    ...(absentImages.length === 0
      ? []
      : [
          podStage(
            "image-absent",
            [alive, image("In"), { key: ".status.containerStatuses", operator: "DoesNotExist" }],
            pulling,
          ),
        ]),
    podStage("running", [alive, unstarted, ...(absentImages.length === 0 ? [] : [image("NotIn")])], running),
    podStage("completed", [alive, phase("Running"), ofJob], completed),
    podStage("deleted", [{ ...alive, operator: "Exists" }], { finalizers: { empty: true }, delete: true }),
  ];
}
