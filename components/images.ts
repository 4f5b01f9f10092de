import { readFileSync } from "node:fs";
import { RunError } from "@pulumi/pulumi/errors.js";
import { resolveReference } from "../migrations/reference.ts";

/** One built image. */
export interface Image {
  /** What the runtime is told to run: name with an immutable tag, or name@digest. */
  readonly image: string;
  /** `sha256:..` of what was built or pulled. */
  readonly digest: string;
}

/** Images of an environment by `<release>/<service>`; `keeper` for the keeper. */
export type Images = Readonly<Record<string, Image>>;

/** The list that `images` in the stack file is, or names. @throws {RunError} when the file cannot be read */
export function readImages(source: string | Images): Images {
  if (typeof source !== "string") return source;
  const file = resolveReference(source);
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Images;
  } catch (error) {
    throw new RunError(`images: ${file} cannot be read (${(error as Error).message}); build them: make up`);
  }
}

/** @throws {RunError} naming the image that is missing */
export function getImage(images: Images, name: string): Image {
  const image = images[name];
  if (image === undefined)
    throw new RunError(
      `images: none for ${name}; there are ${Object.keys(images).join(", ")}; fetch or build them: coordinator images resolve, or make up`,
    );
  return image;
}
