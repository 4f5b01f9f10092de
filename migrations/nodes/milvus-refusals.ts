import { findMilvusFaults } from "../milvus/find-faults.ts";
import type { MirrorDefinition } from "../mirror/definition.ts";
import { findMirror } from "../mirrors.ts";
import { resolveReference } from "../reference.ts";
import type { RegionTarget, WaveInputs } from "../wave-inputs.ts";
import type { Refusal } from "./node.ts";

/**
 * Vectors need every region's Milvus before the first one is moved: it answers, asks for passwords, lets the region's user make
 * users, and has no other collection under the release's name. All faults of all regions at once; a release without vectors
 * asks nobody.
 *
 * @param definitions of the mirrors that the release names. @default those of this program
 */
export async function milvusRefusals(
  { regions, release }: Pick<WaveInputs, "regions" | "release">,
  definitions: readonly MirrorDefinition[] = release.sinkMirrors.flatMap((name) => findMirror(name) ?? []),
): Promise<Refusal[]> {
  const withVectors = definitions.filter(({ collection }) => collection !== undefined);
  const reasons = await Promise.all(
    regions.flatMap((region) => withVectors.map((definition) => reasonsOf(release.pin, region, definition))),
  );
  return reasons.flat().map((reason) => ({ property: "regions", reason }));
}

async function reasonsOf(pin: string, region: RegionTarget, { collection }: MirrorDefinition): Promise<string[]> {
  if (collection === undefined) return [];
  const { milvusAddress, milvusUser, milvusPassword, milvusDatabase } = region;
  if (milvusAddress === undefined || milvusUser === undefined || milvusPassword === undefined)
    return [
      `region ${region.name} has no Milvus, and ${pin} keeps vectors there; set present.milvus: true and name it`,
    ];
  try {
    const access = {
      address: resolveReference(milvusAddress),
      username: resolveReference(milvusUser),
      password: resolveReference(milvusPassword),
      ...(milvusDatabase === undefined ? {} : { database: milvusDatabase }),
    };
    return (await findMilvusFaults(access, collection)).map((fault) => `region ${region.name}: ${fault}`);
  } catch (error) {
    return [`region ${region.name}: ${(error as Error).message}`];
  }
}
