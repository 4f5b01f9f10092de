import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import { Platform } from "../../components/platform.ts";
import { loadRuntime } from "../../components/runtime.ts";
import { parseEnvironment } from "../../releases/environment.ts";
import { rolloutOf } from "../../releases/rollout.ts";

/** One resource that the program asked for. */
export interface AskedResource {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
  /** Name of the explicit provider; undefined for the default one. */
  readonly provider: string | undefined;
  /** Place in the order in which the program asked: what a resource depends on is asked for before it. */
  readonly place: number;
}

/** An object without a name of its own gets one. */
const named = ({ metadata }: Record<string, unknown>) => ({
  metadata: { name: "mocked-name", ...(metadata as object) },
});

/** Outputs that only a server could know, by type; a type that is not here may not appear in the program. */
const computed: Readonly<Record<string, (inputs: Record<string, unknown>) => Record<string, unknown>>> = {
  "pulumi:providers:docker": () => ({}),
  "pulumi:providers:kubernetes": () => ({}),
  "pulumi:providers:postgresql": () => ({}),
  "pulumi:providers:vault": () => ({}),
  "docker:index/container:Container": () => ({}),
  "kubernetes:apps/v1:Deployment": named,
  "kubernetes:autoscaling/v2:HorizontalPodAutoscaler": named,
  "kubernetes:batch/v1:Job": named,
  "kubernetes:core/v1:Namespace": named,
  "kubernetes:core/v1:ResourceQuota": named,
  "kubernetes:core/v1:Secret": named,
  "kubernetes:core/v1:Service": named,
  "kubernetes:networking.k8s.io/v1:NetworkPolicy": named,
  "kubernetes:policy/v1:PodDisruptionBudget": named,
  "postgresql:index/database:Database": () => ({}),
  "postgresql:index/grantRole:GrantRole": () => ({}),
  "postgresql:index/role:Role": () => ({}),
  "random:index/randomPassword:RandomPassword": () => ({ result: "mocked-password" }),
  "vault:appRole/authBackendRole:AuthBackendRole": () => ({ roleId: "mocked-role" }),
  "vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId": () => ({ secretId: "mocked-secret" }),
  "vault:index/audit:Audit": () => ({}),
  "vault:index/authBackend:AuthBackend": () => ({}),
  "vault:index/mount:Mount": () => ({}),
  "vault:index/policy:Policy": () => ({}),
  "pulumi-nodejs:dynamic/migrations:Guard": () => ({ epoch: "e", status: "done", summary: "s" }),
  "pulumi-nodejs:dynamic/migrations:Tenants": () => ({ epoch: "e", status: "done", summary: "s" }),
  "pulumi-nodejs:dynamic/migrations:Smoke": () => ({ epoch: "e", status: "done", summary: "s" }),
  "pulumi-nodejs:dynamic/migrations:Traffic": () => ({ epoch: "e", status: "done", summary: "s" }),
  "pulumi-nodejs:dynamic/migrations:Flags": () => ({ epoch: "e", status: "done", summary: "s" }),
  "pulumi-nodejs:dynamic/migrations:Prepare": () => ({ epoch: "e", status: "done", summary: "s" }),
  "pulumi-nodejs:dynamic/migrations:Cutover": () => ({ epoch: "e", status: "done", summary: "s" }),
  "pulumi-nodejs:dynamic/migrations:Finalize": () => ({ epoch: "e", status: "done", summary: "s" }),
};

const variables: Readonly<Record<string, string>> = {
  RC_POSTGRES_URL: "postgresql://operator:hunter2@127.0.0.1:5432/postgres",
  RC_VAULT_ADDR: "http://127.0.0.1:8200",
  RC_VAULT_TOKEN: "mocked-token",
  DOCKER_HOST: "unix:///run/docker.sock",
  RC_FLEET_BASE_PORT: "18000",
  ...Object.fromEntries(
    ["STAGING", "PROD"].flatMap((stack) => [
      [`RC_${stack}_KUBECONFIG`, "/nowhere/kubeconfig"],
      ...["EU", "US"].flatMap((region) => [
        [
          `RC_${stack}_${region}_POSTGRES_URL`,
          `postgresql://operator:hunter2@${region.toLowerCase()}.example:5432/postgres?sslmode=verify-full`,
        ],
        [`RC_${stack}_${region}_VAULT_ADDR`, `https://vault.${region.toLowerCase()}.example:8200`],
        [`RC_${stack}_${region}_VAULT_TOKEN`, "mocked-token"],
      ]),
    ]),
  ),
};

/** The stack file's environment, with changes on top. */
export function environmentOf(
  stack: string,
  change: (environment: Record<string, unknown>) => void = () => {},
): unknown {
  const file = parse(readFileSync(new URL(`../../Pulumi.${stack}.yaml`, import.meta.url), "utf8")) as {
    config: Record<string, Record<string, unknown>>;
  };
  const environment = file.config["release-coordinator:environment"] ?? {};
  change(environment);
  return environment;
}

/**
 * Runs the program against mocks that know only the types above and returns what it asked for, in order of name.
 * @param imagesFile the list of images that the stack file's `images` stands for
 * @throws what the program throws; a type without mock; nothing for ten seconds
 */
export async function runMocked(environment: unknown, imagesFile: string): Promise<AskedResource[]> {
  const before = { ...process.env };
  Object.assign(process.env, variables, { RC_IMAGES_FILE: imagesFile, RC_FLAGS_FILE: "/nowhere/flags.json" });
  const asked: AskedResource[] = [];
  let unstubbed: Error | undefined;
  await pulumi.runtime.setMocks(
    {
      call: (args) => {
        throw new Error(`the program calls ${args.token}, which has no mock`);
      },
      newResource: ({ type, name, inputs, provider, id }) => {
        // `urn:..::<name>::<id>`
        const by = provider?.split("::").at(-2);
        asked.push({ type, name, inputs: inputs as Record<string, unknown>, provider: by, place: asked.length });
        if (type.startsWith("release-coordinator:")) return { id: undefined, state: inputs as object };
        const outputs = computed[type];
        if (outputs === undefined) {
          unstubbed = new Error(`the program makes a ${type} (${name}), which has no mock`);
          throw unstubbed;
        }
        return { id: id ?? `${name}-id`, state: { ...inputs, ...outputs(inputs as Record<string, unknown>) } };
      },
    },
    "release-coordinator",
    "test",
    false,
  );
  try {
    const parsed = parseEnvironment(environment);
    const openRuntime = await loadRuntime(parsed);
    const platform = new Platform(parsed.name, { environment: parsed, rollout: rolloutOf(parsed), openRuntime });
    // A throwing mock never settles its resource: the clock ends the wait.
    await Promise.race([
      new Promise((resolve) => pulumi.output(platform.waves).apply(resolve)),
      new Promise((_resolve, reject) => {
        const timer = setInterval(() => {
          if (unstubbed === undefined) return;
          clearInterval(timer);
          reject(unstubbed);
        }, 50);
        setTimeout(() => {
          clearInterval(timer);
          reject(new Error("the program did not settle within 10 s"));
        }, 10_000).unref();
        timer.unref();
      }),
    ]);
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  }
  return asked.sort((a, b) => (`${a.type} ${a.name}` < `${b.type} ${b.name}` ? -1 : 1));
}
