import { execa } from "execa";
import { repositoryFolder } from "../local/folders.ts";
import { makeEmptyProgram } from "./empty-program.ts";
import { median, type Bench, type Needs, rounded } from "./ratio.ts";

export const needs: Needs = "platform";

/**
 * `pulumi preview` of dev against that of an empty program of the same CLI, and the cold import of what index.ts imports.
 * Needs a platform that `make up` has brought up: `source .local/env` first.
 */
export const bench: Bench = async ({ rounds }) => {
  if (process.env["RC_HOME"] === undefined) throw new Error("RC_HOME is not set; run: make up && source .local/env");
  const empty = await makeEmptyProgram();
  try {
    const ours: number[] = [];
    const theirs: number[] = [];
    const imports: number[] = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(await seconds("pulumi", ["preview", "-s", "dev", "--non-interactive"], repositoryFolder, {}));
      theirs.push(await seconds("pulumi", ["preview", "-s", "dev", "--non-interactive"], empty.folder, empty.backend));
      const load = 'await Promise.all([import("./components/platform.ts"), import("./releases/rollout.ts")])';
      imports.push(await seconds("node", ["--input-type=module", "--eval", load], repositoryFolder, {}));
    }
    return [
      {
        name: "start",
        ratio: rounded(median(ours) / median(theirs)),
        goal: 1.5,
        better: "lower",
        previewSeconds: rounded(median(ours)),
        emptyPreviewSeconds: rounded(median(theirs)),
        importSeconds: rounded(median(imports)),
        rounds,
        allPreviewSeconds: ours.map(rounded),
        allEmptyPreviewSeconds: theirs.map(rounded),
      },
    ];
  } finally {
    await empty.remove();
  }
};

async function seconds(
  file: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const startMs = performance.now();
  await execa(file, args, { cwd, env, stdin: "ignore" });
  return (performance.now() - startMs) / 1000;
}
