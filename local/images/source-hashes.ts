// `npm run sources`: states in the release data what the services are built from now, and pins the new content in the stack
// files and the README. A published release is never edited: `coordinator lint` refuses that, and the mend is a new id.
import { readFile, writeFile } from "node:fs/promises";
import { execa } from "execa";
import { repositoryFolder } from "../folders.ts";
import { IMAGE_SERVICES, sourceHash } from "./bundle.ts";

const releases = ["r1", "r2"];
const pinned = ["Pulumi.dev.yaml", "Pulumi.staging.yaml", "Pulumi.prod.yaml", "README.md"];
const inRepository = (path: string): URL => new URL(path, `file://${repositoryFolder}/`);

/** Pin of every release as a fresh process reads it from the files. */
async function readPins(): Promise<Record<string, string>> {
  const code = `const { allReleases } = await import("./releases/catalog.ts");
    const { pinOf } = await import("./releases/pin.ts");
    console.log(JSON.stringify(Object.fromEntries(allReleases().map((release) => [release.id, pinOf(release)]))));`;
  const { stdout } = await execa("node", ["--input-type=module", "--eval", code], { cwd: repositoryFolder });
  return JSON.parse(stdout) as Record<string, string>;
}

for (const release of releases) {
  const file = inRepository(`releases/${release}.ts`);
  let text = await readFile(file, "utf8");
  for (const service of IMAGE_SERVICES) {
    const hash = await sourceHash(service, release);
    text = text.replace(new RegExp(`^(  "?${service}"?: ")[0-9a-f]{64}`, "m"), `$1${hash}`);
  }
  await writeFile(file, text);
}
const after = await readPins();
for (const name of pinned) {
  let text = await readFile(inRepository(name), "utf8");
  for (const release of releases)
    text = text.replaceAll(new RegExp(`\\b${release}@[0-9a-f]{12}\\b`, "g"), after[release] ?? "");
  await writeFile(inRepository(name), text);
}
for (const release of releases) console.log(after[release]);
