import type { Command } from "commander";
import { resolveReference } from "../migrations/reference.ts";
import { getRelease } from "../releases/catalog.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import type { ImageMap } from "../releases/image-list.ts";
import type { Release } from "../releases/release.ts";
import { rolloutOf } from "../releases/rollout.ts";
import { openImageStore } from "./images/image-store.ts";
import { RegistryClient } from "./images/registry-client.ts";
import { recordAct } from "./evidence/record-act.ts";
import { Refusal } from "./outcome.ts";
import type { Report } from "./outcome.ts";
import { openStackFile, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { runCommand } from "./terminal.ts";

interface ResolveOptions extends CommonOptions {
  readonly release?: readonly string[];
  readonly keeper?: string;
  readonly dryRun?: boolean;
}

/** Label by which an image says what it was built from. */
export const sourceLabel = "release-coordinator.source";

export function registerImages(program: Command, surroundings: Surroundings): void {
  const images = program.command("images").description("which image every service runs, by digest");
  withCommonOptions(
    images.command("resolve").description("ask the registry for the digests of all pinned releases, and keep them"),
  )
    .option("--release <ids...>", "these releases too, e.g. the one to be promoted to")
    .option("--keeper <tag>", "the keeper's image too, e.g. 0.1.0")
    .option("--dry-run", "ask and compare; write nothing")
    .addHelpText(
      "after",
      `
Reads <registry.url>/<artifact>:<version> of every container. Its label ${sourceLabel} must be the source
that the release states. A digest that is kept already is never replaced: another one under the same version is a no-go
(exit 2), for somebody moved the tag. Writes \`images\`: in the stack file, or the file that it names.

Examples:
  coordinator images resolve --env staging
  coordinator images resolve --env prod --release r2 --keeper 0.1.0`,
    )
    .action(async (options: ResolveOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => resolveImages(options, surroundings)));
    });
}

/** One image to look for. */
interface Wanted {
  readonly key: string;
  readonly artifact: string;
  readonly tag: string;
  /** undefined: not stated by a release. */
  readonly source: string | undefined;
}

/** @throws {Refusal} no-go with everything that is missing, built from something else or moved; then nothing is written */
export async function resolveImages(options: ResolveOptions, surroundings: Surroundings): Promise<Report> {
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const client = clientOf(environment, file.path);
  const store = await openImageStore(environment, file);
  const found: Record<string, ImageMap[string]> = {};
  const reasons: string[] = [];
  for (const wanted of wantedImages(environment, options)) {
    surroundings.terminal.stderr(`${wanted.key}: ${wanted.artifact}:${wanted.tag} ...\n`);
    const image = await client.find(wanted.artifact, wanted.tag);
    const fault = image === undefined ? "is not in the registry: push it" : faultOf(wanted, image, store.images);
    if (fault !== undefined || image === undefined) {
      reasons.push(`${wanted.key}: ${wanted.artifact}:${wanted.tag} ${fault}`);
      continue;
    }
    const { digest, labels } = image;
    const source = labels[sourceLabel];
    found[wanted.key] = {
      image: client.imageName(wanted.artifact, digest),
      digest,
      ...(source === undefined ? {} : { source }),
    };
  }
  if (reasons.length > 0) throw new Refusal("no-go", [...reasons, `nothing was written to ${store.path}`]);
  const isNew = (key: string) => JSON.stringify(store.images[key]) !== JSON.stringify(found[key]);
  const written = Object.keys(found).filter(isNew);
  if (written.length > 0 && !options.dryRun) {
    await store.write({ ...store.images, ...found });
    const notes = written.map((key) => `${key}: ${found[key]?.image}`);
    await recordAct(environment, { act: "images", notes }, surroundings);
  }
  const verb = options.dryRun ? "would be written to" : "written to";
  const head = written.length === 0 ? `${store.path} has them all` : `${written.length} images ${verb} ${store.path}`;
  const lines = Object.entries(found).map(([key, { image }]) => `  ${isNew(key) ? "+" : " "} ${key}: ${image}`);
  const data = { environment: environment.name, path: store.path, images: found, written };
  return { outcome: "go", text: [head, ...lines].join("\n"), data };
}

function clientOf({ registry, name }: Environment, path: string): RegistryClient {
  if (registry === undefined) {
    const key = `RC_${name.toUpperCase().replaceAll("-", "_")}_REGISTRY_URL`;
    throw new Error(`${path} names no registry; add: registry: { url: env:${key} }, its value https://host/prefix`);
  }
  const { url, username, password } = registry;
  return new RegistryClient({
    url: resolveReference(url),
    ...(username === undefined ? {} : { username: resolveReference(username) }),
    ...(password === undefined ? {} : { password: resolveReference(password) }),
  });
}

function wantedImages(environment: Environment, { release, keeper }: ResolveOptions): Wanted[] {
  const pinned = rolloutOf(environment).fleets.map((fleet) => fleet.release);
  const releases = new Set<Release>([...pinned, ...(release ?? []).map((id) => getRelease(id))]);
  const services = [...releases].flatMap(({ id, services: all }) =>
    all
      .filter(({ kind }) => kind === "container")
      .map(({ name, artifact, version, source }) => {
        return { key: `${id}/${name}`, artifact, tag: version, source: source ?? undefined };
      }),
  );
  return keeper === undefined
    ? services
    : [...services, { key: "keeper", artifact: "rc/keeper", tag: keeper, source: undefined }];
}

function faultOf(
  { key, source }: Wanted,
  { digest, labels }: { readonly digest: string; readonly labels: Readonly<Record<string, string>> },
  kept: ImageMap,
): string | undefined {
  const label = labels[sourceLabel];
  if (source !== undefined && label !== source) {
    return `was built from ${label ?? `something without the label ${sourceLabel}`}, the release states ${source}; push what the release was built from`;
  }
  const before = kept[key]?.digest;
  // The program is not a release: a newer keeper replaces an older one.
  if (before === undefined || before === digest || key === "keeper") return undefined;
  return `has the digest ${digest}, kept is ${before}: a published version never changes; push the change under a new release`;
}
