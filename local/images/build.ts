import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureBaseImage } from "./base-image.ts";
import { bundle, findKeeperEntry, IMAGE_SERVICES, serviceEntry } from "./bundle.ts";
import { DockerClient } from "./docker-client.ts";

export { sourceHash } from "./bundle.ts";

export interface BuildImagesArgs {
  /** The `.local` folder; gets `images.json`. */
  readonly home: string;
  /** Value for DOCKER_HOST. */
  readonly dockerHost: string;
  /** Release ids whose services are built, e.g. `["r1", "r2"]`. */
  readonly releases: readonly string[];
  /** Called with one line per image. */
  readonly onProgress?: (text: string) => void;
}

/** One line of the images file. */
export interface BuiltImage {
  /** Name with a tag that names the source: the same source, the same tag. */
  readonly image: string;
  /** Id of the image in this daemon, `sha256:..`. */
  readonly digest: string;
  /** {@link sourceHash} of what is in it; also the label `release-coordinator.source`. */
  readonly source: string;
}

const SOURCE_LABEL = "release-coordinator.source";

/** Path of the images file of a platform: the value of RC_IMAGES_FILE. */
export const imagesFile = (home: string): string => join(home, "images.json");

/**
 * Builds every image that is not there yet from its present source, and writes the images file. Unchanged images cost
 * a bundle (half a second) and no build.
 * @returns what the file holds: `<release>/<service>`, and `keeper` when its entry exists
 */
export async function buildImages(args: BuildImagesArgs): Promise<Record<string, BuiltImage>> {
  const docker = new DockerClient(args.dockerHost);
  const wanted = args.releases.flatMap((release) =>
    IMAGE_SERVICES.map((service) => ({
      key: `${release}/${service}`,
      name: `rc/${service}`,
      tagPrefix: `${release}-`,
      entry: serviceEntry(service, release),
    })),
  );
  const keeper = findKeeperEntry();
  if (keeper !== undefined) wanted.push({ key: "keeper", name: "rc/keeper", tagPrefix: "", entry: keeper });

  const base = await ensureBaseImage(docker);
  const health = await bundle("tests/workload/health.ts");
  const images: Record<string, BuiltImage> = {};
  for (const { key, name, tagPrefix, entry } of wanted) {
    const service = await bundle(entry);
    const image = `${name}:${tagPrefix}${service.source.slice(0, 12)}`;
    const found = await docker.findImage(image);
    let digest = found?.labels[SOURCE_LABEL] === service.source ? found.id : undefined;
    args.onProgress?.(`${key}: ${digest === undefined ? "building" : "unchanged"} ${image}`);
    digest ??= await buildImage(docker, base, image, service.source, {
      "service.mjs": service.code,
      "health.mjs": health.code,
    });
    images[key] = { image, digest, source: service.source };
  }
  await writeImagesFile(args.home, images);
  return images;
}

async function buildImage(
  docker: DockerClient,
  base: string,
  image: string,
  source: string,
  files: Readonly<Record<string, Uint8Array>>,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "rc-image-"));
  try {
    await mkdir(join(folder, "service"));
    for (const [file, code] of Object.entries(files)) await writeFile(join(folder, "service", file), code);
    const lines = [
      `FROM ${base}`,
      "COPY service /service",
      `LABEL ${SOURCE_LABEL}=${source}`,
      // By number: there is no /etc/passwd in the image.
      "USER 65534:65534",
      "ENTRYPOINT []",
      'CMD ["/node", "/service/service.mjs"]',
    ];
    await writeFile(join(folder, "Dockerfile"), `${lines.join("\n")}\n`);
    return await docker.build(folder, image);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeImagesFile(home: string, images: Readonly<Record<string, BuiltImage>>): Promise<void> {
  await mkdir(home, { recursive: true });
  const unfinished = `${imagesFile(home)}.${randomBytes(4).toString("hex")}`;
  await writeFile(unfinished, `${JSON.stringify(images, null, 2)}\n`);
  await rename(unfinished, imagesFile(home));
}
