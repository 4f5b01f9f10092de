import { text, texts } from "../property.ts";
import type { Value, Values } from "../property.ts";
import { durationNs } from "./go-duration.ts";

/** Label on every container of the stand-in: whose it is. The official plugin does not read labels back, so it does no harm. */
export const urnLabel = "release-coordinator.urn";

const mib = 1024 * 1024;

/** Body of the engine's "create container" for a container's properties. */
export function containerSpec(inputs: Values, urn: string): Record<string, unknown> {
  const ports = objects(inputs["ports"]);
  const portKey = (port: Values): string => `${text(port["internal"])}/${text(port["protocol"])}`;
  const healthcheck = inputs["healthcheck"] as Values | undefined;
  return {
    Image: inputs["image"],
    Cmd: inputs["command"],
    Entrypoint: inputs["entrypoints"],
    Env: inputs["envs"],
    User: inputs["user"],
    WorkingDir: inputs["workingDir"],
    Hostname: inputs["hostname"],
    Labels: {
      ...Object.fromEntries(objects(inputs["labels"]).map((label) => [text(label["label"]), label["value"]])),
      [urnLabel]: urn,
    },
    StopSignal: inputs["stopSignal"],
    StopTimeout: inputs["stopTimeout"],
    ExposedPorts: Object.fromEntries(ports.map((port) => [portKey(port), {}])),
    Healthcheck: healthcheck === undefined ? undefined : health(healthcheck),
    HostConfig: hostConfig(inputs, ports, portKey),
  };
}

/** Body of the engine's "update container": everything that a running container can change. */
export function containerResources(inputs: Values): Record<string, unknown> {
  return {
    RestartPolicy: { Name: text(inputs["restart"]), MaximumRetryCount: Number(inputs["maxRetryCount"] ?? 0) },
    Memory: Number(inputs["memory"] ?? 0) * mib,
    MemoryReservation: Number(inputs["memoryReservation"] ?? 0) * mib,
    // The engine insists on a swap limit of at least the memory limit, and keeps the old one unless told.
    MemorySwap: swap(inputs),
    CpuShares: Number(inputs["cpuShares"] ?? 0),
  };
}

function hostConfig(
  inputs: Values,
  ports: readonly Values[],
  portKey: (port: Values) => string,
): Record<string, unknown> {
  const capabilities = (inputs["capabilities"] ?? {}) as Values;
  return {
    ...containerResources(inputs),
    NetworkMode: inputs["networkMode"],
    PortBindings: Object.fromEntries(
      ports.map((port) => [portKey(port), [{ HostIp: text(port["ip"]), HostPort: text(port["external"]) }]]),
    ),
    ExtraHosts: objects(inputs["hosts"]).map((host) => `${text(host["host"])}:${text(host["ip"])}`),
    Binds: objects(inputs["volumes"]).map(
      (volume) =>
        `${text(volume["hostPath"])}:${text(volume["containerPath"])}:${volume["readOnly"] === true ? "ro" : "rw"}`,
    ),
    Tmpfs: inputs["tmpfs"],
    Init: inputs["init"],
    Privileged: inputs["privileged"] === true,
    ReadonlyRootfs: inputs["readOnly"] === true,
    SecurityOpt: inputs["securityOpts"],
    CapAdd: texts(capabilities["adds"]),
    CapDrop: texts(capabilities["drops"]),
    ShmSize: inputs["shmSize"] === undefined ? undefined : Number(inputs["shmSize"]) * mib,
    LogConfig: { Type: text(inputs["logDriver"]), Config: inputs["logOpts"] ?? {} },
  };
}

function health(check: Values): Record<string, unknown> {
  const ns = (name: string): number => durationNs(text(check[name])) ?? 0;
  return {
    Test: texts(check["tests"]),
    Interval: ns("interval"),
    Timeout: ns("timeout"),
    StartPeriod: ns("startPeriod"),
    Retries: Number(check["retries"] ?? 0),
  };
}

function swap(inputs: Values): number {
  const memory = Number(inputs["memory"] ?? 0);
  const asked = Number(inputs["memorySwap"] ?? 0);
  if (asked < 0) return -1;
  return Math.max(asked, memory > 0 ? memory * 2 : 0) * mib;
}

function objects(value: Value): Values[] {
  return Array.isArray(value) ? (value as Values[]) : [];
}
