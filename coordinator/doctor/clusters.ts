import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parse } from "yaml";
import { resolveReference } from "../../migrations/reference.ts";
import type { Environment } from "../../releases/environment.ts";
import { fine, looked, missing } from "./finding.ts";
import type { Finding } from "./finding.ts";

/** What is read of a kubeconfig; whatever else it says is the provider's business. */
interface Kubeconfig {
  readonly contexts?: readonly { readonly name: string; readonly context: { readonly cluster: string } }[];
  readonly clusters?: readonly { readonly name: string; readonly cluster: Cluster }[];
}

interface Cluster {
  readonly server: string;
  readonly "certificate-authority"?: string;
  readonly "certificate-authority-data"?: string;
  readonly "insecure-skip-tls-verify"?: boolean;
}

/** The cluster of every region: its context is in the kubeconfig, and its API server answers under the certificate named there. */
export async function lookAtClusters({ regions }: Environment): Promise<Finding[]> {
  const findings = regions.map((region) =>
    looked(`cluster ${region.name}`, "correct the region's cluster.kubeconfig, or start the API server", () =>
      lookAtCluster(region),
    ),
  );
  return (await Promise.all(findings)).flat();
}

async function lookAtCluster({ name, cluster: wanted }: Environment["regions"][number]): Promise<Finding[]> {
  const subject = `cluster ${name}`;
  if (wanted === undefined)
    return [missing(subject, "the region names no cluster", "add cluster: {context, kubeconfig} to the region")];
  const { text, folder, source } = await readKubeconfig(wanted.kubeconfig);
  const { contexts = [], clusters = [] } = (parse(text) ?? {}) as Kubeconfig;
  const context = contexts.find((each) => each.name === wanted.context);
  if (context === undefined)
    return [
      missing(
        subject,
        `${source} has no context ${wanted.context}; there are: ${contexts.map((each) => each.name).join(", ") || "none"}`,
        "correct cluster.context, or kubectl config set-context",
      ),
    ];
  const cluster = clusters.find((each) => each.name === context.context.cluster)?.cluster;
  if (cluster === undefined)
    return [
      missing(
        subject,
        `context ${wanted.context} names cluster ${context.context.cluster}, which ${source} does not have`,
        "kubectl config set-cluster",
      ),
    ];
  const status = await askReady(cluster, folder);
  return status === undefined || status >= 500
    ? [missing(subject, `${cluster.server} is not ready: HTTP ${status}`, "wait, or look at /readyz?verbose")]
    : [fine(subject, `${cluster.server} answers in context ${wanted.context}`)];
}

/** The kubeconfig as the provider reads it: content, or a file's name. Content is never quoted: it holds credentials. */
async function readKubeconfig(reference: string | undefined) {
  const given = reference === undefined ? process.env["KUBECONFIG"] : resolveReference(reference);
  if (given?.includes("\n")) return { text: given, folder: process.cwd(), source: `what ${reference} holds` };
  const file = given || join(homedir(), ".kube", "config");
  return { text: await readFile(file, "utf8"), folder: dirname(resolve(file)), source: file };
}

/**
 * HTTP status of the API server's `/readyz`; it may refuse a stranger, which is an answer too.
 * @throws nobody listens, or its certificate is not the kubeconfig's
 */
async function askReady(cluster: Cluster, folder: string): Promise<number | undefined> {
  const file = cluster["certificate-authority"];
  const data = cluster["certificate-authority-data"];
  const authority =
    data !== undefined
      ? Buffer.from(data, "base64")
      : file === undefined
        ? undefined
        : await readFile(resolve(folder, file));
  return new Promise((done, fail) => {
    const asked = request(
      new URL("/readyz", cluster.server),
      {
        timeout: 5000,
        agent: false,
        rejectUnauthorized: cluster["insecure-skip-tls-verify"] !== true,
        ...(authority === undefined ? {} : { ca: authority }),
      },
      (response) => {
        response.resume();
        done(response.statusCode);
      },
    );
    asked.on("timeout", () => asked.destroy(new Error("no answer within 5 s")));
    asked.on("error", (error) => fail(new Error(`${cluster.server} does not answer: ${error.message}`)));
    asked.end();
  });
}
