import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isMap, parse, parseDocument } from "yaml";
import { getRelease } from "../../releases/catalog.ts";
import { pinOf } from "../../releases/pin.ts";
import type { TourContext } from "./step.ts";

const path = ["config", "release-coordinator:environment"];

/** Writes the tour's stack file as it is before the first promotion: everything at r1, no Vault, no way back yet. */
export async function writeFirstStackFile(context: TourContext): Promise<void> {
  const document = parseDocument(await readFile(trackedFile(context), "utf8"));
  const waves = document.getIn([...path, "pins"]);
  if (!isMap(waves)) throw new Error("Pulumi.dev.yaml has no pins; restore it: git checkout Pulumi.dev.yaml");
  for (const wave of waves.items)
    document.setIn(
      [...path, "pins", String(wave.key)],
      document.createNode({ now: pinOf(getRelease("r1")), back: "none" }),
    );
  document.setIn([...path, "present", "vault"], false);
  await writeFile(context.stackFile, document.toString({ lineWidth: 0 }));
}

/** The environment that a stack file describes, as plain data. */
export async function readEnvironment(file: string): Promise<Record<string, unknown>> {
  const text = parse(await readFile(file, "utf8")) as { config: Record<string, Record<string, unknown>> };
  return text.config["release-coordinator:environment"] ?? {};
}

/** Ids of the seed tenants. */
export async function seedTenantIds(context: TourContext): Promise<string[]> {
  const { tenants } = await readEnvironment(trackedFile(context));
  return (tenants as { id: string }[]).map((tenant) => tenant.id);
}

export function trackedFile(context: TourContext): string {
  return join(context.repository, "Pulumi.dev.yaml");
}
