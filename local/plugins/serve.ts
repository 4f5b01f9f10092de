// An engine that is killed outright takes no plugin with it; without this they would pile up.
const engine = process.ppid;
const lookEveryMs = 1000;
setInterval(() => {
  if (process.ppid !== engine) process.exit(0);
}, lookEveryMs).unref();

const [name = "", version = ""] = process.argv.slice(2);
const { serve } = await import("./host.ts");
const loaders: Record<string, () => Promise<number>> = {
  random: async () => serve((await import("./random/plugin.ts")).plugin, version),
  postgresql: async () => serve((await import("./postgresql/plugin.ts")).plugin, version),
  vault: async () => serve((await import("./vault/plugin.ts")).plugin, version),
  docker: async () => serve((await import("./docker/plugin.ts")).plugin, version),
};
const load = loaders[name];
if (load === undefined) {
  console.error(`no stand-in of a plugin named "${name}"; there are ${Object.keys(loaders).join(", ")}`);
  process.exit(1);
}

// The engine reads the port from the first line of standard output.
console.log(await load());
