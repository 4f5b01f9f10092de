import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parse } from "yaml";
import { resolveReference } from "../reference.ts";

/** A region's cluster as the stack file names it. `kubeconfig`: reference to a file or its content. @default KUBECONFIG, else ~/.kube/config */
export interface ClusterTarget {
  readonly context: string;
  readonly kubeconfig?: string;
}

/** How to speak to an API server: by token or by certificate. */
export interface ApiServer {
  readonly server: string;
  /** PEM of the authority behind its certificate; undefined: the system's. */
  readonly authority?: Buffer;
  readonly isUnchecked: boolean;
  readonly token?: string;
  readonly certificate?: Buffer;
  readonly key?: Buffer;
}

interface Kubeconfig {
  readonly contexts?: readonly Named<"context", { readonly cluster: string; readonly user?: string }>[];
  readonly clusters?: readonly Named<"cluster", Readonly<Record<string, unknown>> & { readonly server: string }>[];
  readonly users?: readonly Named<"user", Readonly<Record<string, unknown>>>[];
}

type Named<Key extends string, Value> = { readonly name: string } & { readonly [K in Key]: Value };

/**
 * Reads one context. Its content is never quoted: it holds credentials.
 * @throws naming the context, what there is, and the mend
 */
export async function readKubeconfig({ context: wanted, kubeconfig }: ClusterTarget): Promise<ApiServer> {
  const given = kubeconfig === undefined ? process.env["KUBECONFIG"] : resolveReference(kubeconfig);
  const isContent = given?.includes("\n") === true;
  const file = isContent ? undefined : given || join(homedir(), ".kube", "config");
  const source = file ?? `what ${kubeconfig} holds`;
  const text = file === undefined ? (given ?? "") : await readFile(file, "utf8");
  const folder = file === undefined ? process.cwd() : dirname(resolve(file));
  const { contexts = [], clusters = [], users = [] } = (parse(text) ?? {}) as Kubeconfig;
  const context = contexts.find(({ name }) => name === wanted)?.context;
  const cluster = clusters.find(({ name }) => name === context?.cluster)?.cluster;
  if (context === undefined || cluster === undefined) {
    const what = context === undefined ? `context ${wanted}` : `cluster ${context.cluster}, which ${wanted} names`;
    const there = contexts.map(({ name }) => name).join(", ") || "none";
    throw new Error(
      `${source} has no ${what}; its contexts: ${there}; correct cluster.context in the stack file, or kubectl config set-context`,
    );
  }
  const user = users.find(({ name }) => name === context.user)?.user ?? {};
  const unknown = ["exec", "auth-provider", "username"].filter((way) => way in user);
  if (unknown.length > 0)
    throw new Error(
      `${source}: user ${context.user} logs in by ${unknown.join(", ")}; allowed are token and client-certificate: ` +
        "give the coordinator a service account's token",
    );
  const bytes = async (of: Readonly<Record<string, unknown>>, key: string): Promise<Buffer | undefined> => {
    const data = of[`${key}-data`];
    if (typeof data === "string") return Buffer.from(data, "base64");
    const path = of[key];
    return typeof path === "string" ? readFile(resolve(folder, path)) : undefined;
  };
  const [authority, certificate, key, tokenFile] = await Promise.all([
    bytes(cluster, "certificate-authority"),
    bytes(user, "client-certificate"),
    bytes(user, "client-key"),
    typeof user["tokenFile"] === "string" ? readFile(resolve(folder, user["tokenFile"]), "utf8") : undefined,
  ]);
  const token = typeof user["token"] === "string" ? user["token"] : tokenFile?.trim();
  return {
    server: cluster.server,
    isUnchecked: cluster["insecure-skip-tls-verify"] === true,
    ...(authority === undefined ? {} : { authority }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
    ...(token === undefined ? {} : { token }),
  };
}
