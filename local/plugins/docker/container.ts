import { isValues, text } from "../property.ts";
import type { Property, Value, Values } from "../property.ts";
import { changes } from "../diff.ts";
import type { ResourceType } from "../resource-type.ts";
import { awaitHealthy } from "./container-health.ts";
import { containerProperties, unchangeable } from "./container-properties.ts";
import { containerResources, containerSpec, urnLabel } from "./container-spec.ts";
import { containerState } from "./container-state.ts";
import type { Inspection } from "./container-state.ts";
import { DockerError } from "./docker-engine.ts";
import type { DockerEngine } from "./docker-engine.ts";

/**
 * A container. One that a killed update left behind under the same name is replaced. With `wait` it counts as made once it
 * is healthy; one that does not become healthy within `waitTimeout` seconds is removed, and its health output and last log
 * lines are the error.
 */
export const container: ResourceType<DockerEngine> = {
  token: "docker:index/container:Container",
  schemaVersion: 2,
  properties: containerProperties,

  refuse(inputs) {
    const found: [string, string][] = [];
    if (inputs["wait"] === true && inputs["healthcheck"] === undefined) {
      found.push(["wait", '"wait" is true without a "healthcheck" to wait for; name one, or leave "wait" out']);
    }
    return found;
  },

  async create(docker, inputs, call) {
    const name = text(inputs["name"]);
    const spec = containerSpec(inputs, call.urn);
    await removeLeftover(docker, name, spec, call.urn);
    const id = await createOnly(docker, name, spec);
    if (inputs["start"] === false) return { id };
    try {
      await docker.post(`/containers/${id}/start`);
      if (inputs["wait"] === true) await awaitHealthy(docker, id, name, Number(inputs["waitTimeout"]), call.signal);
    } catch (error) {
      await docker.remove(`/containers/${id}?force=true&v=true`);
      throw error;
    }
    return { id };
  },

  async read(docker, id, state) {
    const found = await docker.find<Inspection>(`/containers/${id}/json`);
    if (found === undefined) return undefined;
    const now = containerState(found, state);
    return { ...now, healthcheck: sameHealthcheck(state["healthcheck"], now["healthcheck"]) };
  },

  async update(docker, id, olds, news, call) {
    const stuck = unchangeable.filter(
      (property) => changes({ [property]: containerProperties[property] as Property }, olds, news).length > 0,
    );
    if (stuck.length > 0) {
      throw new Error(
        `container "${text(news["name"])}": ${stuck.join(", ")} cannot change while it exists; mend: replaceOnChanges: ${JSON.stringify(stuck)} in the program`,
      );
    }
    await docker.post(`/containers/${id}/update`, containerResources(news));
    const isDown = olds["mustRun"] === false && news["mustRun"] === true && news["start"] !== false;
    if (!isDown) return;
    await docker.post(`/containers/${id}/start`);
    if (news["wait"] === true) {
      await awaitHealthy(docker, id, text(news["name"]), Number(news["waitTimeout"]), call.signal);
    }
  },

  async delete(docker, id, state) {
    // Without a grace the official plugin kills at once; so do we.
    const graceSeconds = Number(state["destroyGraceSeconds"] ?? 0);
    try {
      await docker.post(`/containers/${id}/stop?t=${graceSeconds}`);
    } catch (error) {
      if (!(error instanceof DockerError && error.status === 404)) throw error;
    }
    await docker.remove(`/containers/${id}?force=true&v=${state["removeVolumes"] !== false}`);
  },
};

async function createOnly(docker: DockerEngine, name: string, spec: Record<string, unknown>): Promise<string> {
  try {
    const made = await docker.post<{ Id: string }>(`/containers/create?name=${encodeURIComponent(name)}`, spec);
    return made.Id;
  } catch (error) {
    if (!(error instanceof DockerError) || error.status !== 404) throw error;
    const image = String(spec["Image"]);
    throw new DockerError(
      `docker: container "${name}": there is no image "${image}" here; mend: build or load it, see docker images`,
      404,
    );
  }
}

/** A container of this name is removed when it is this resource's own, or was made alike; anybody else's stays. */
async function removeLeftover(
  docker: DockerEngine,
  name: string,
  spec: Record<string, unknown>,
  urn: string,
): Promise<void> {
  const found = await docker.find<Inspection>(`/containers/${encodeURIComponent(name)}/json`);
  if (found === undefined) return;
  const owner = found.Config.Labels?.[urnLabel];
  const isAlike =
    owner === undefined &&
    found.Config.Image === spec["Image"] &&
    holds(found.Config["Env"], spec["Env"]) &&
    (spec["Cmd"] === undefined || JSON.stringify(found.Config["Cmd"]) === JSON.stringify(spec["Cmd"]));
  if (owner !== urn && !isAlike) {
    const whose = owner === undefined ? "was not made by this program" : `belongs to ${owner}`;
    throw new Error(`container "${name}" exists and ${whose}; mend: docker rm -f ${name}`);
  }
  await docker.remove(`/containers/${found.Id}?force=true&v=true`);
}

function holds(found: Value, wanted: unknown): boolean {
  return Array.isArray(found) && ((wanted ?? []) as string[]).every((entry) => found.includes(entry));
}

/** State keeps the program's spelling of durations while they mean the same. */
function sameHealthcheck(before: Value, now: Value): Value {
  const fields = containerProperties["healthcheck"]?.fields ?? {};
  if (!isValues(before) || !isValues(now)) return now;
  const kept: Values = { ...now };
  for (const [name, field] of Object.entries(fields)) {
    if (field.isSame?.(before[name], now[name]) && before[name] !== undefined) kept[name] = before[name];
  }
  return kept;
}
