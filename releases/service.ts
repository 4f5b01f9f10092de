import { z } from "zod";
import { amount, closed, oneOf, semanticVersion, sha256, slug, text, versionRange, whole } from "./schema.ts";

const apis = z.record(slug, versionRange, { error: "API names with version ranges" });
const probePath = text(/^\/[a-z0-9/_-]*$/, "a path such as /healthz");

/** One service of a release. */
export const serviceSchema = closed({
  /** Name inside the release and the fleet: `platform-api`. Its place in the list fixes its port. */
  name: slug,
  /** `container`: one image per release; `gateway`: configuration of the region's gateway, no image. */
  kind: oneOf(["container", "gateway"]),
  /** What is built and stored: an image name without registry and tag. */
  artifact: text(/^[a-z][a-z0-9/-]{1,80}$/, "an artifact name without registry host and tag"),
  version: semanticVersion,
  /** sha256 of the source folder the artifact is built from; the image carries it as a label. null: nothing of ours is built. */
  source: sha256.nullable(),
  /** API versions this service answers, listed exactly: `1.4.0 || 2.0.0`. */
  serves: apis,
  /** API versions it calls: met when the same release serves at least one version in the range. */
  requires: apis,
  /** Services that must be ready before this one starts. */
  dependsOn: z.array(slug, { error: "a list of service names" }),
  probes: closed({
    health: probePath,
    ready: probePath,
    /** How often the probe runs. */
    intervalSeconds: whole(1, 60, "seconds"),
    /** From start until the service must be ready. */
    startSeconds: whole(1, 600, "seconds"),
  }),
  resources: closed({
    cpuCores: amount(0.05, 64, "cores"),
    memoryMib: whole(32, 262_144, "MiB"),
    replicas: whole(1, 100, "replicas"),
  }),
});

export type Service = z.infer<typeof serviceSchema>;
