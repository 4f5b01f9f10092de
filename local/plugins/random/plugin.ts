import type { Plugin } from "../resource-type.ts";
import { randomId } from "./random-id.ts";
import { randomPassword } from "./random-password.ts";

/** Stand-in of the official `random` plugin: values that live in state only, so there is no server behind it. */
export const plugin: Plugin<undefined> = {
  name: "random",
  config: {},
  connect: () => undefined,
  resources: [randomPassword, randomId],
};
