import { request } from "node:https";
import type { ApiServer } from "./kubeconfig.ts";

/** Who owns the fields that are written here. */
const fieldManager = "release-coordinator";

/** An object of the API, whole as it shall be. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string } & Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

/**
 * Applies an object on the server, by field; fields that somebody else has taken are taken back, since the whole object is ours.
 * @param plural the kind's name in paths, e.g. `httproutes`
 * @throws the server's own words, or why nobody answered within 10 s
 */
export async function applyObject(at: ApiServer, plural: string, object: KubernetesObject): Promise<void> {
  const { namespace, name } = object.metadata;
  const path = `/apis/${object.apiVersion}/namespaces/${namespace}/${plural}/${name}?fieldManager=${fieldManager}&force=true`;
  const about = `${at.server}: ${object.kind} ${namespace}/${name}`;
  const { status, text } = await send(at, path, JSON.stringify(object)).catch((error: unknown) => {
    throw new Error(`${about}: ${(error as Error).message}; the cluster must answer: kubectl get --raw /readyz`);
  });
  if (status === 200 || status === 201) return;
  let said = text;
  try {
    said = (JSON.parse(text) as { message?: string }).message ?? text;
  } catch {
    // The server's words as they are.
  }
  const mend = status === 404 ? "; its kind or namespace is not there: install the Gateway API's definitions" : "";
  throw new Error(`${about}: ${status} ${said.trim().slice(0, 500)}${mend}`);
}

function send(at: ApiServer, path: string, body: string): Promise<{ status: number; text: string }> {
  return new Promise((done, fail) => {
    const asked = request(
      new URL(path, at.server),
      {
        method: "PATCH",
        // One request a step: no connection is kept.
        agent: false,
        timeout: 10_000,
        rejectUnauthorized: !at.isUnchecked,
        headers: {
          "content-type": "application/apply-patch+yaml",
          ...(at.token === undefined ? {} : { authorization: `Bearer ${at.token}` }),
        },
        ...(at.authority === undefined ? {} : { ca: at.authority }),
        ...(at.certificate === undefined ? {} : { cert: at.certificate }),
        ...(at.key === undefined ? {} : { key: at.key }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", fail);
        response.on("end", () => done({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      },
    );
    asked.on("timeout", () => asked.destroy(new Error("no answer within 10 s")));
    asked.on("error", fail);
    asked.end(body);
  });
}
