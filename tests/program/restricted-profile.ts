/** A pod as Kubernetes gets it. */
export interface PodSpec {
  readonly automountServiceAccountToken?: boolean;
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly securityContext?: Record<string, unknown>;
  readonly volumes?: readonly Record<string, unknown>[];
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
}

interface Container {
  readonly name: string;
  readonly image?: string;
  readonly envFrom?: readonly unknown[];
  readonly resources?: Readonly<Record<"requests" | "limits", Readonly<Record<string, string>>>>;
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly ports?: readonly { readonly hostPort?: number }[];
  readonly securityContext?: Record<string, unknown> & { readonly capabilities?: { drop?: string[]; add?: string[] } };
}

const allowedVolumes = [
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "persistentVolumeClaim",
  "projected",
  "secret",
];

/** Where a pod breaks the profile "restricted" of https://kubernetes.io/docs/concepts/security/pod-security-standards/. */
export function restrictedViolations(pod: PodSpec): string[] {
  const found: string[] = [];
  const context = pod.securityContext ?? {};
  for (const host of ["hostNetwork", "hostPID", "hostIPC"] as const) if (pod[host]) found.push(host);
  for (const volume of pod.volumes ?? [])
    found.push(...Object.keys(volume).filter((kind) => kind !== "name" && !allowedVolumes.includes(kind)));
  for (const { name, ports = [], securityContext: own = {} } of [...(pod.initContainers ?? []), ...pod.containers]) {
    const of = (field: string): unknown => own[field] ?? context[field];
    const say = (what: string) => found.push(`${name}: ${what}`);
    if (own["privileged"]) say("privileged");
    if (own["allowPrivilegeEscalation"] !== false) say("allowPrivilegeEscalation is not false");
    if (of("runAsNonRoot") !== true) say("runAsNonRoot is not true");
    if (of("runAsUser") === 0) say("runs as root");
    if (own.capabilities?.drop?.includes("ALL") !== true) say("does not drop all capabilities");
    if ((own.capabilities?.add ?? []).some((added) => added !== "NET_BIND_SERVICE")) say("adds capabilities");
    const profile = (of("seccompProfile") as { type?: string } | undefined)?.type;
    if (profile !== "RuntimeDefault" && profile !== "Localhost") say(`seccomp profile ${profile}`);
    if (ports.some(({ hostPort }) => hostPort !== undefined)) say("hostPort");
  }
  return found;
}
