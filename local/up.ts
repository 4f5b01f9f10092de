// `make up`: from a fresh checkout to a platform on which the tour has moved R1 to R2, back and forth. Every step is skipped
// or adopted when it is done already, so that running it again after anything goes on where it stopped.
import { relative } from "node:path";
import { parseArgs } from "node:util";
import { findEndpoints } from "./endpoints.ts";
import { homeFolder } from "./folders.ts";
import { Interrupted, Interruption } from "./interruption.ts";
import { Platform } from "./platform.ts";
import { faultSentence, preflight } from "./preflight.ts";
import { machineProbes } from "./preflight-probes.ts";
import { Progress } from "./progress.ts";
import { installToolchain } from "./toolchain/install.ts";
import { toolTable } from "./toolchain/table.ts";

interface ImagesModule {
  buildImages(options: { readonly env: Readonly<Record<string, string>> }): Promise<unknown>;
}
interface TourModule {
  runTour(platform: Platform, options: object): Promise<unknown>;
}
const load = async <T>(path: string): Promise<T> => (await import(new URL(path, import.meta.url).href)) as T;

const { values: options } = parseArgs({ options: { "no-tour": { type: "boolean", default: false } } });
const progress = new Progress();
const say = (text: string): void => progress.say(text);
const interruption = new Interruption(say);
const platform = new Platform({ homeFolder: homeFolder(), onProgress: (text) => say(`  ${text}`) });

/** Ports of our own servers that run: they are taken, and rightly so. */
async function runningPorts(): Promise<ReadonlySet<number>> {
  const endpoints = await findEndpoints(platform.homeFolder);
  const running = (await platform.status()).filter(({ pid }) => pid !== undefined);
  const ports = new Set(running.flatMap(({ port }) => port ?? []));
  if (endpoints && ports.has(endpoints.vaultPort)) ports.add(endpoints.vaultClusterPort);
  if (endpoints && ports.has(endpoints.gatewayPort)) ports.add(endpoints.gatewayAdminPort);
  return ports;
}

async function up(): Promise<void> {
  const faults = await preflight(machineProbes(platform.homeFolder, await runningPorts()));
  if (faults.length > 0) {
    for (const fault of faults) process.stderr.write(`${faultSentence(fault)}\n`);
    process.exitCode = 1;
    return;
  }
  const step = <T>(title: string, work: (note: (text: string) => void) => Promise<T>): Promise<T> => {
    interruption.throwIfAsked();
    return progress.step(title, work);
  };
  const toolchain = await step("tools", installToolchain);
  say(toolTable(toolchain.tools));
  await step("servers", () => platform.start(toolchain));
  const env = platform.environment;
  await step("provider plugins", async () => {
    const { installPlugins } = await import("./plugins/install.ts");
    for (const { name, version, source } of await installPlugins({ env })) say(`  ${name} ${version}: ${source}`);
  });
  await step("images", async () => (await load<ImagesModule>("images/build.ts")).buildImages({ env }));
  if (!options["no-tour"])
    await step("tour", async () => (await load<TourModule>("tour/tour.ts")).runTour(platform, {}));
  say(`ready. Next: source ${relative(process.cwd(), platform.homeFolder)}/env && pulumi preview -s dev`);
}

try {
  await platform.withLock(up);
} catch (error) {
  const text =
    error instanceof Interrupted || interruption.isAsked ? new Interrupted().message : (error as Error).message;
  process.stderr.write(`${text}\n`);
  process.exitCode = interruption.isAsked ? 130 : 1;
}
// Loaded modules may keep connections open; everything that must outlive us is a process of its own.
process.exit();
