import { request } from "node:http";
import { resolveReference } from "../../migrations/reference.ts";
import type { Environment } from "../../releases/environment.ts";
import { rolloutOf } from "../../releases/rollout.ts";
import { openImageStore } from "../images/image-store.ts";
import { askReadiness, serviceAddresses } from "../readiness.ts";
import type { StackFile } from "../stack-file.ts";
import { lookAtClusters } from "./clusters.ts";
import { fine, looked, missing } from "./finding.ts";
import type { Finding } from "./finding.ts";

/**
 * What the fleets run on, and the images of all pinned releases; on a Docker host also the service contract of fleets that
 * run. In a cluster the contract is asked from inside, by each service's smoke test.
 */
export async function lookAtFleets(environment: Environment, file: StackFile, isFirst: boolean): Promise<Finding[]> {
  const { docker, runtime } = environment;
  if (runtime === "kubernetes")
    return [
      ...(await lookAtClusters(environment)),
      ...(await looked("images", "coordinator images resolve", () => lookAtImages(environment, file))),
    ];
  if (docker === undefined)
    return [missing("docker", "the stack file names no docker host", "add docker: {host, basePort}")];
  return [
    ...(await looked("docker", "start the daemon, or correct docker.host", () => lookAtDaemon(docker.host))),
    ...(await looked("images", "coordinator images resolve, or make up", () => lookAtImages(environment, file))),
    ...(await looked("fleets", "correct docker.basePort: the first of 100 free ports", () =>
      lookAtServices(environment, docker.basePort, isFirst),
    )),
  ];
}

async function lookAtDaemon(reference: string): Promise<Finding[]> {
  const host = resolveReference(reference);
  const version = await askDaemon(host);
  return [fine("docker", `${host} answers, version ${version}`)];
}

async function lookAtImages(environment: Environment, file: StackFile): Promise<Finding[]> {
  const { images, path } = await openImageStore(environment, file);
  const wanted = rolloutOf(environment).fleets.flatMap(({ release }) =>
    release.services
      .filter(({ kind }) => kind === "container")
      .map(({ name, source }) => ({ key: `${release.id}/${name}`, source })),
  );
  const keys = [...wanted, ...(environment.present.vault ? [{ key: "keeper", source: null }] : [])];
  const faults = keys.flatMap(({ key, source }) => {
    const image = images[key];
    if (image === undefined)
      return [missing("images", `${path} has none for ${key}`, "coordinator images resolve, or make up")];
    if (source === null || image.source === undefined || image.source === source) return [];
    return [
      missing(
        "images",
        `${key} was built from ${image.source}, its release states ${source}`,
        "build or push what the release was built from",
      ),
    ];
  });
  return faults.length > 0 ? faults : [fine("images", `${path} has all ${keys.length}`)];
}

/** Before the first update nothing may listen on the fleets' ports; afterwards each must keep the service contract. */
async function lookAtServices(environment: Environment, reference: string, isFirst: boolean): Promise<Finding[]> {
  const basePort = Number(resolveReference(reference));
  if (!Number.isInteger(basePort) || basePort < 1024 || basePort > 65_436)
    return [missing("fleets", `${reference} is no port from 1024 to 65436`, "name the first of 100 free ports")];
  const addresses = rolloutOf(environment).fleets.flatMap((fleet) => serviceAddresses(fleet, basePort));
  const answers = await Promise.all(addresses.map(async (at) => ({ at, told: await askReadiness(at, 3000) })));
  if (isFirst) {
    const taken = answers.filter(({ told }) => !told.answer.startsWith("no answer"));
    if (taken.length === 0) return [fine("fleets", `nobody listens on the ports of ${addresses.length} services`)];
    return taken.map(({ at }) =>
      missing("fleets", `${at.url} of ${at.service} is taken`, "choose another docker.basePort"),
    );
  }
  const faults = answers
    .filter(({ told }) => !told.isReady)
    .map(({ at, told }) =>
      missing(
        "fleets",
        `${at.service} of ${at.pin}: ${told.answer}`,
        "pulumi up starts it; it must answer its readiness path with 200 and {pin}: docker logs tells why not",
      ),
    );
  return faults.length > 0 ? faults : [fine("fleets", `${answers.length} services are ready and say their pin`)];
}

/** Version of the daemon. @throws when it does not answer */
function askDaemon(host: string): Promise<string> {
  const socketPath = host.startsWith("unix://") ? host.slice("unix://".length) : undefined;
  const url = socketPath === undefined ? host.replace(/^tcp:/, "http:") : "http://docker";
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`the Docker daemon at ${host} does not answer: ${why}`));
    const asked = request(
      new URL("/version", url),
      { ...(socketPath ? { socketPath } : {}), timeout: 5000 },
      (response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => (body += chunk.toString()));
        response.on("end", () => {
          const version = /"Version":"([^"]+)"/.exec(body)?.[1];
          if (response.statusCode === 200 && version !== undefined) resolve(version);
          else fail(`HTTP ${response.statusCode}`);
        });
      },
    );
    asked.on("timeout", () => asked.destroy(new Error("no answer within 5 s")));
    asked.on("error", (error) => fail(error.message));
    asked.end();
  });
}
