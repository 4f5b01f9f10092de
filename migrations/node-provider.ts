import type * as pulumi from "@pulumi/pulumi";

/**
 * The one dynamic provider behind every migration node.
 *
 * Its text is stored in the stack's state, and any change of that text would make noise in every preview or run stale
 * code on delete. So it captures nothing and each method loads the real code when it is called; the provider process
 * runs in the program's folder. `node-provider.serialised.txt` is that text; a test holds it to what Pulumi serialises.
 */
export const nodeProvider: pulumi.dynamic.ResourceProvider = {
  check: async (olds, news) => (await import(process.cwd() + "/migrations/provider.ts")).check(olds, news),
  diff: async (id, olds, news) => (await import(process.cwd() + "/migrations/provider.ts")).diff(id, olds, news),
  create: async (inputs) => (await import(process.cwd() + "/migrations/provider.ts")).create(inputs),
  update: async (id, olds, news) => (await import(process.cwd() + "/migrations/provider.ts")).update(id, olds, news),
  read: async (id, props) => (await import(process.cwd() + "/migrations/provider.ts")).read(id, props),
  delete: async (id, props) => (await import(process.cwd() + "/migrations/provider.ts")).remove(id, props),
};
