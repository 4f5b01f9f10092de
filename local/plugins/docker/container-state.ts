import { text } from "../property.ts";
import type { Value, Values } from "../property.ts";
import { durationText } from "./go-duration.ts";

/** What the engine tells about a container, as far as it is read here. */
export interface Inspection {
  readonly Id: string;
  readonly Name: string;
  readonly State: {
    readonly Status: string;
    readonly Running: boolean;
    readonly ExitCode: number;
    readonly Health?: { readonly Status: string; readonly Log?: { ExitCode: number; Output: string }[] | null };
  };
  readonly Config: Record<string, Value> & {
    readonly Image: string;
    readonly Labels: Record<string, string> | null;
    readonly Healthcheck?: Record<string, number> & { readonly Test?: string[] };
  };
  readonly Image: string;
  readonly Platform: string;
  readonly HostConfig: Record<string, Value> & {
    readonly RestartPolicy: { Name: string; MaximumRetryCount: number };
    readonly LogConfig: { Type: string; Config: Values | null };
  };
  readonly NetworkSettings: {
    readonly Bridge: string;
    readonly Networks: Record<string, Record<string, Value>> | null;
  };
}

const mib = 1024 * 1024;

/**
 * A container's outputs. Environment and labels are left as state has them, like the official plugin does, because the
 * image's own are mixed into what the engine reports.
 */
export function containerState(found: Inspection, state: Values): Values {
  const { Config: config, HostConfig: host, NetworkSettings: network } = found;
  const mebibytes = (name: string): number => {
    const bytes = Number(host[name] ?? 0);
    return bytes > 0 ? bytes / mib : bytes;
  };
  return {
    name: found.Name.replace(/^\//, ""),
    image: text(state["image"]).startsWith("sha256:") ? found.Image : config.Image,
    command: config["Cmd"] ?? [],
    entrypoints: config["Entrypoint"] ?? [],
    envs: state["envs"] ?? [],
    labels: state["labels"] ?? [],
    user: config["User"],
    workingDir: config["WorkingDir"],
    hostname: config["Hostname"],
    stopSignal: config["StopSignal"] ?? "",
    stopTimeout: config["StopTimeout"] ?? 0,
    healthcheck: healthcheck(config.Healthcheck),
    networkMode: host["NetworkMode"],
    init: host["Init"] ?? false,
    privileged: host["Privileged"],
    readOnly: host["ReadonlyRootfs"],
    securityOpts: host["SecurityOpt"] ?? [],
    shmSize: mebibytes("ShmSize"),
    logDriver: host.LogConfig.Type,
    restart: host.RestartPolicy.Name,
    maxRetryCount: host.RestartPolicy.MaximumRetryCount,
    memory: mebibytes("Memory"),
    memoryReservation: mebibytes("MemoryReservation"),
    memorySwap: mebibytes("MemorySwap"),
    cpuShares: host["CpuShares"],
    ipcMode: host["IpcMode"],
    runtime: host["Runtime"],
    platform: found.Platform,
    storageOpts: host["StorageOpt"] ?? {},
    sysctls: host["Sysctls"] ?? {},
    bridge: network.Bridge,
    networkDatas: Object.entries(network.Networks ?? {}).map(([name, data]) => ({
      networkName: name,
      ipAddress: data["IPAddress"],
      ipPrefixLength: data["IPPrefixLen"],
      gateway: data["Gateway"],
      globalIpv6Address: data["GlobalIPv6Address"],
      globalIpv6PrefixLength: data["GlobalIPv6PrefixLen"],
      ipv6Gateway: data["IPv6Gateway"],
      macAddress: data["MacAddress"],
    })),
    // A stopped container shows as `mustRun` fallen to false, so that the next update starts it.
    ...(found.State.Running ? {} : { exitCode: found.State.ExitCode, mustRun: false }),
  };
}

function healthcheck(check: Inspection["Config"]["Healthcheck"]): Values | undefined {
  if (check?.Test === undefined) return undefined;
  return {
    tests: check.Test,
    interval: durationText(check["Interval"] ?? 0),
    timeout: durationText(check["Timeout"] ?? 0),
    startPeriod: durationText(check["StartPeriod"] ?? 0),
    startInterval: durationText(check["StartInterval"] ?? 0),
    retries: check["Retries"] ?? 0,
  };
}
