import { z } from "zod";
import { text } from "./schema.ts";

const form = /^(env:[A-Z][A-Z0-9_]*|vault:[A-Za-z0-9/_.-]+#[A-Za-z0-9_]+)$/;
const allowed = "a reference: env:NAME or vault:path#field";

/** Where a value is found when it is needed: `env:RC_POSTGRES_URL`, `vault:kv/prod/postgres#url`. */
export const reference = text(form, allowed);

/**
 * A reference to a secret. Whatever else stands there may be the secret itself, so the fault does not repeat it.
 * A stack file is in Git, and its values end in state.
 */
export const secretReference = z.unknown().refine((value) => typeof value === "string" && form.test(value), {
  params: {
    allowed,
    isSecret: true,
    mend: "put the value into a variable or into Vault, and write env:NAME or vault:path#field",
  },
}) as unknown as z.ZodType<string>;
