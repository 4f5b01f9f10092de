import { text } from "../property.ts";
import type { ResourceType } from "../resource-type.ts";
import { DockerError } from "./docker-engine.ts";
import type { DockerEngine } from "./docker-engine.ts";

interface Image {
  readonly Id: string;
  readonly RepoDigests: string[] | null;
}

/** An image that is on this machine already; nothing is pulled. */
export const remoteImage: ResourceType<DockerEngine> = {
  token: "docker:index/remoteImage:RemoteImage",
  properties: {
    name: { kind: "string", isRequired: true, isReplacing: true },
    keepLocally: { kind: "boolean" },
    forceRemove: { kind: "boolean" },
    pullTriggers: { kind: "strings", isSet: true, isReplacing: true },
    triggers: { kind: "map", isReplacing: true },
    imageId: { kind: "string", isOutput: true },
    repoDigest: { kind: "string", isOutput: true },
  },
  async create(docker, inputs) {
    const name = text(inputs["name"]);
    const found = await docker.find<Image>(`/images/${name}/json`);
    if (found === undefined) {
      throw new Error(
        `there is no image "${name}" here, and the stand-in pulls none; mend: build it, or docker pull ${name}`,
      );
    }
    return { id: found.Id + name };
  },
  async read(docker, id, state) {
    const name = state["name"] === undefined ? id.replace(/^sha256:[0-9a-f]{64}/, "") : text(state["name"]);
    const found = await docker.find<Image>(`/images/${name}/json`);
    return found === undefined ? undefined : { name, imageId: found.Id, repoDigest: found.RepoDigests?.[0] ?? "" };
  },
  // Both switches only speak about the deletion.
  update: async () => {},
  async delete(docker, _, state) {
    if (state["keepLocally"] === true) return;
    try {
      await docker.remove(`/images/${text(state["name"])}?force=${state["forceRemove"] === true}`);
    } catch (error) {
      if (!(error instanceof DockerError && error.status === 409)) throw error;
      throw new Error(`${error.message}; mend: set keepLocally, or remove what uses the image`, { cause: error });
    }
  },
};
