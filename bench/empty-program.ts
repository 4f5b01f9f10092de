import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { repositoryFolder } from "../local/folders.ts";

/** The rival of every preview: a program without a resource, with a stack `dev` on a backend of its own. */
export interface EmptyProgram {
  readonly folder: string;
  readonly backend: { readonly PULUMI_BACKEND_URL: string };
  remove(): Promise<void>;
}

/**
 * It lies inside the checkout, where Node finds the SDK in a folder above: a link to `node_modules` would send the language
 * host through all of it for seconds, which would flatter us.
 *
 * @param env with `pulumi` on PATH and a passphrase
 */
export async function makeEmptyProgram(env: Readonly<Record<string, string>> = {}): Promise<EmptyProgram> {
  const parent = join(repositoryFolder, ".local");
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, "bench-empty-"));
  const backend = { PULUMI_BACKEND_URL: `file://${folder}` };
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "empty", type: "module", main: "index.ts" }));
  await writeFile(join(folder, "index.ts"), 'import "@pulumi/pulumi";\n');
  await writeFile(
    join(folder, "Pulumi.yaml"),
    "name: empty\nruntime: { name: nodejs, options: { typescript: false } }\n",
  );
  await execa("pulumi", ["stack", "init", "dev", "--non-interactive"], { cwd: folder, env: { ...env, ...backend } });
  return { folder, backend, remove: () => rm(folder, { recursive: true }) };
}
