import { readFile, rename, writeFile } from "node:fs/promises";
import type { FlagsInputs } from "../flags.ts";
import { resolveReference } from "../reference.ts";
import type { MigrationNode } from "./node.ts";

/** Feature flags behind a port; the adapter here is a JSON file, replaced in one step. */
export const flagsNode: MigrationNode<FlagsInputs> = {
  id: (inputs) => `flags:${inputs.phase}`,

  async isUnfinished(inputs) {
    const present = await read(inputs);
    return inputs.flags.some((flag) => present[flag] !== inputs.value);
  },

  async run(inputs) {
    const open = (inputs.awaited ?? []).filter((status) => status !== "done").length;
    if (open > 0)
      return { status: "waiting", summary: `waits for ${open} nodes before it`, epoch: `${inputs.phase} waiting` };
    const present = await read(inputs);
    const wanted = { ...present, ...Object.fromEntries(inputs.flags.map((flag) => [flag, inputs.value])) };
    const file = resolveReference(inputs.file);
    await writeFile(`${file}.next`, `${JSON.stringify(wanted, null, 2)}\n`);
    await rename(`${file}.next`, file);
    const state = inputs.value ? "on" : "off";
    return {
      status: "done",
      summary: inputs.flags.length === 0 ? `no flag to turn ${state}` : `${inputs.flags.join(", ")}: ${state}`,
      epoch: `${state}:${inputs.flags.join(",")}`,
    };
  },
};

async function read(inputs: FlagsInputs): Promise<Record<string, boolean>> {
  const file = resolveReference(inputs.file);
  try {
    return JSON.parse(await readFile(file, "utf8")) as Record<string, boolean>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new Error(
      `flags file ${file} cannot be read (${(error as Error).message}); mend or remove it, then pulumi up`,
    );
  }
}
