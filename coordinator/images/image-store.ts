import { readFile, rename, writeFile } from "node:fs/promises";
import { resolveReference } from "../../migrations/reference.ts";
import type { Environment } from "../../releases/environment.ts";
import type { ImageMap } from "../../releases/image-list.ts";
import type { StackFile } from "../stack-file.ts";

/** The images that an environment knows, and where they are kept. */
export interface ImageStore {
  /** The file that is written. */
  readonly path: string;
  readonly images: ImageMap;
  /** Replaces the file in one step. */
  write(images: ImageMap): Promise<void>;
}

/** `images` in the stack file: the images themselves, or the file that it names, which need not exist yet. */
export async function openImageStore({ images }: Environment, file: StackFile): Promise<ImageStore> {
  if (typeof images !== "string") {
    return { path: file.path, images, write: (all) => writeInto(file, all) };
  }
  const path = resolveReference(images);
  return { path, images: await readImagesFile(path), write: (all) => writeFileOf(path, all) };
}

async function readImagesFile(path: string): Promise<ImageMap> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "{}";
    throw error;
  });
  try {
    return JSON.parse(text) as ImageMap;
  } catch (error) {
    throw new Error(`${path} is no JSON (${(error as Error).message}); remove it, then: coordinator images resolve`, {
      cause: error,
    });
  }
}

async function writeInto(file: StackFile, images: ImageMap): Promise<void> {
  // Quoted: sixty-four digits without a letter would be read as a number.
  const quoted = ([key, image]: [string, ImageMap[string]]) => {
    const fields = Object.entries(image).map(([name, value]) => [name, JSON.stringify(value)] as const);
    return [key, Object.fromEntries(fields)] as const;
  };
  file.setImages(Object.fromEntries(Object.entries(images).map(quoted)));
  await file.write();
}

async function writeFileOf(path: string, images: ImageMap): Promise<void> {
  const unfinished = `${path}.${process.pid}`;
  await writeFile(unfinished, `${JSON.stringify(images, null, 2)}\n`);
  await rename(unfinished, path);
}
