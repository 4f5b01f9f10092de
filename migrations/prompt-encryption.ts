import type { MirrorDefinition } from "./mirror/definition.ts";

/** R2: bodies of prompts and messages, sealed with the tenant's own keyset. Names here are identities: in the ledger, in
 * every ciphertext's associated data. */
export const promptEncryption: MirrorDefinition = {
  name: "prompt-encryption",
  keysetClass: "prompt",
  pairs: [
    {
      source: "prompt_bodies",
      sink: "prompt_bodies_sealed",
      key: "prompt_id",
      payload: "body",
      kind: "prompt.body",
      parent: "prompts",
      parentKey: "id",
    },
    {
      source: "message_bodies",
      sink: "message_bodies_sealed",
      key: "message_id",
      payload: "body",
      kind: "message.body",
      parent: "messages",
      parentKey: "id",
    },
  ],
};
