import { text } from "../property.ts";
import type { Properties, Property, Value } from "../property.ts";
import { durationNs } from "./go-duration.ts";

const replaced = { isReplacing: true } as const;
const replacedText: Property = { kind: "string", ...replaced };
const replacedList: Property = { kind: "strings", ...replaced };
const replacedSwitch: Property = { kind: "boolean", ...replaced, default: false };
const duration: Property = {
  kind: "string",
  default: "0s",
  refuse: (value) =>
    durationNs(text(value)) === undefined
      ? `is "${text(value)}", but must be a duration such as 500ms or 1m30s`
      : undefined,
  isSame: (left, right) => durationNs(text(left)) === durationNs(text(right)),
};

/**
 * The engine cannot change these in a container that exists. The official plugin plans an update, does nothing, and plans it again;
 * the stand-in plans the same and refuses to do nothing: `replaceOnChanges` in the program is the mend with either.
 */
export const unchangeable = ["healthcheck", "init", "tmpfs"] as const;

/** Properties of a container: memory in MiB, `waitTimeout`, `stopTimeout` and `destroyGraceSeconds` in seconds. */
export const containerProperties: Properties = {
  name: { ...replacedText, isAutonamed: true },
  image: { ...replacedText, isRequired: true },
  command: { ...replacedList, isComputed: true },
  entrypoints: { ...replacedList, isComputed: true },
  envs: { ...replacedList, isComputed: true, isSet: true },
  labels: {
    kind: "objects",
    ...replaced,
    isComputed: true,
    isSet: true,
    fields: { label: { kind: "string", isRequired: true }, value: { kind: "string", isRequired: true } },
  },
  // The image's own when absent.
  user: { ...replacedText, isComputed: true },
  workingDir: { ...replacedText, isComputed: true },
  hostname: { ...replacedText, isComputed: true },
  networkMode: { ...replacedText, default: "bridge" },
  ports: {
    kind: "objects",
    ...replaced,
    fields: {
      internal: { kind: "number", isRequired: true },
      external: { kind: "number", isComputed: true },
      ip: { kind: "string", default: "0.0.0.0" },
      protocol: { kind: "string", default: "tcp" },
    },
  },
  hosts: {
    kind: "objects",
    ...replaced,
    isSet: true,
    fields: { host: { kind: "string", isRequired: true }, ip: { kind: "string", isRequired: true } },
  },
  volumes: {
    kind: "objects",
    ...replaced,
    isSet: true,
    fields: {
      containerPath: { kind: "string", isRequired: true },
      hostPath: { kind: "string", isRequired: true },
      readOnly: { kind: "boolean", default: false },
    },
  },
  tmpfs: { kind: "map" },
  healthcheck: {
    kind: "object",
    isComputed: true,
    fields: {
      tests: { kind: "strings", isRequired: true },
      interval: duration,
      timeout: duration,
      startPeriod: duration,
      startInterval: { ...duration, refuse: refuseStartInterval },
      retries: { kind: "number", default: 0 },
    },
  },
  init: { kind: "boolean", isComputed: true },
  privileged: { kind: "boolean", ...replaced },
  readOnly: replacedSwitch,
  securityOpts: { ...replacedList, isComputed: true, isSet: true },
  capabilities: {
    kind: "object",
    ...replaced,
    fields: { adds: { kind: "strings", isSet: true }, drops: { kind: "strings", isSet: true } },
  },
  shmSize: { kind: "number", isComputed: true, ...replaced },
  stopSignal: { ...replacedText, isComputed: true },
  stopTimeout: { kind: "number", isComputed: true, ...replaced },
  logDriver: { ...replacedText, isComputed: true },
  logOpts: { kind: "map", ...replaced },
  restart: { kind: "string", default: "no", refuse: refuseRestart },
  maxRetryCount: { kind: "number" },
  memory: { kind: "number", refuse: refuseNegative },
  memoryReservation: { kind: "number", default: 0, refuse: refuseNegative },
  memorySwap: { kind: "number", isComputed: true },
  cpuShares: { kind: "number", refuse: refuseNegative },
  start: { kind: "boolean", default: true },
  mustRun: { kind: "boolean", default: true },
  wait: { kind: "boolean", default: false },
  waitTimeout: { kind: "number", default: 60 },
  destroyGraceSeconds: { kind: "number" },
  removeVolumes: { kind: "boolean", default: true },
  // The SDK's switches for containers that end by themselves: served at their defaults only.
  rm: { kind: "boolean", default: false, refuse: refuseTrue },
  attach: { kind: "boolean", default: false, refuse: refuseTrue },
  logs: { kind: "boolean", default: false, refuse: refuseTrue },
  containerReadRefreshTimeoutMilliseconds: { kind: "number", default: 15_000 },
  bridge: { kind: "string", isOutput: true },
  exitCode: { kind: "number", isOutput: true },
  ipcMode: { kind: "string", isOutput: true },
  runtime: { kind: "string", isOutput: true },
  networkDatas: { kind: "objects", isOutput: true },
  platform: { kind: "string", isOutput: true },
  storageOpts: { kind: "map", isOutput: true },
  sysctls: { kind: "map", isOutput: true },
  // With `logs` only, which the stand-in does not serve.
  containerLogs: { kind: "string", isOutput: true },
};

function refuseRestart(value: Value): string | undefined {
  const allowed = ["no", "on-failure", "always", "unless-stopped"];
  return allowed.includes(text(value)) ? undefined : `is "${text(value)}", but must be one of ${allowed.join(", ")}`;
}

function refuseNegative(value: Value): string | undefined {
  return Number(value) >= 0 ? undefined : `is ${text(value)}, but must be 0 or more`;
}

function refuseTrue(value: Value): string | undefined {
  return value === true
    ? "is true, which the stand-in does not serve; leave it out, or use the official plugin"
    : undefined;
}

function refuseStartInterval(value: Value): string | undefined {
  return durationNs(text(value)) === 0 ? undefined : "needs Docker 25 and the official plugin; leave it out";
}
