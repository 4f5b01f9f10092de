import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { repositoryFolder } from "../local/folders.ts";
import { median, type Bench, type Needs, rounded } from "./ratio.ts";

export const needs: Needs = "platform";

/**
 * `pulumi preview` of dev against that of an empty program of the same CLI, and the cold import of what index.ts imports.
 * Needs a platform that `make up` has brought up: `source .local/env` first.
 */
export const bench: Bench = async ({ rounds }) => {
  if (process.env["RC_HOME"] === undefined) throw new Error("RC_HOME is not set; run: make up && source .local/env");
  const empty = await mkdtemp(join(tmpdir(), "bench-empty-"));
  try {
    await writeFile(join(empty, "package.json"), JSON.stringify({ name: "empty", type: "module", main: "index.ts" }));
    await writeFile(join(empty, "index.ts"), 'import "@pulumi/pulumi";\n');
    await writeFile(
      join(empty, "Pulumi.yaml"),
      "name: empty\nruntime: { name: nodejs, options: { typescript: false } }\n",
    );
    await symlink(join(repositoryFolder, "node_modules"), join(empty, "node_modules"));
    const backend = { PULUMI_BACKEND_URL: `file://${empty}` };
    await execa("pulumi", ["stack", "init", "dev", "--non-interactive"], { cwd: empty, env: backend });
    const ours: number[] = [];
    const theirs: number[] = [];
    const imports: number[] = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(await seconds("pulumi", ["preview", "-s", "dev", "--non-interactive"], repositoryFolder, {}));
      theirs.push(await seconds("pulumi", ["preview", "-s", "dev", "--non-interactive"], empty, backend));
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
    await rm(empty, { recursive: true });
  }
};

async function seconds(
  file: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string>,
): Promise<number> {
  const startMs = performance.now();
  await execa(file, args, { cwd, env, stdin: "ignore" });
  return (performance.now() - startMs) / 1000;
}
