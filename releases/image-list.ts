import { z } from "zod";
import { reference } from "./reference.ts";
import { closed, sha256, text } from "./schema.ts";

const digestForm = /^sha256:[0-9a-f]{64}$/;

/** Key of an image: `r2/platform-api`, or `keeper`. */
const imageKey = text(
  /^(keeper|r[1-9][0-9]?[a-z]?\/[a-z][a-z0-9-]{0,59})$/,
  "a release and a service such as r2/platform-api, or keeper",
);

/** One image as a stack file or an images file keeps it. */
export const imageSchema = closed({
  /** Name with the digest, so that a moved tag changes nothing. */
  image: text(
    (value) => digestForm.test(value.split("@")[1] ?? "") && !value.includes(" "),
    "an image name with its digest: registry/artifact@sha256:..",
  ),
  digest: text(digestForm, "sha256: and 64 hexadecimal digits"),
  /** What the image says it was built from; compared with the release when it was resolved. */
  source: sha256.optional(),
});

const imageMap = z.record(imageKey, imageSchema, { error: "an object: release/service, then image, digest, source" });

export type ImageMap = z.infer<typeof imageMap>;

/** Either the images themselves, each fault at its own place, or a reference to the file that holds them. */
export const imagesSchema = z.unknown().superRefine((value, context) => {
  const isMap = typeof value === "object" && value !== null;
  const parsed = (isMap ? imageMap : reference).safeParse(value);
  for (const issue of parsed.error?.issues ?? []) context.addIssue(issue as z.core.$ZodRawIssue);
}) as unknown as z.ZodType<string | ImageMap>;
