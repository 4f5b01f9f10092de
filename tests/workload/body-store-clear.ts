import type { BodyStore } from "./body-store.ts";

/** R1: bodies are text columns, stored as they came. */
export function openClearBodies(): BodyStore {
  return {
    tables: { prompt: "prompt_bodies", message: "message_bodies" },
    columnType: "text",
    write: async (_tenant, _kind, _id, text) => text,
    read: async (_tenant, _kind, _id, stored) => {
      if (typeof stored !== "string") throw new TypeError("a clear body is text; this column is binary");
      return stored;
    },
    ready: async () => undefined,
  };
}
