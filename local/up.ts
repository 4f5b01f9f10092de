// `make up`: from a fresh checkout to a platform on which the tour has moved R1 to R2, back and forth. Every step is skipped
// or adopted when it is done already, so that running it again after anything goes on where it stopped.
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { allReleases } from "../releases/catalog.ts";
import { findEndpoints } from "./endpoints.ts";
import { homeFolder, repositoryFolder } from "./folders.ts";
import { Interrupted, Interruption } from "./interruption.ts";
import { Platform } from "./platform.ts";
import { faultSentence, preflight } from "./preflight.ts";
import { machineProbes } from "./preflight-probes.ts";
import { Progress } from "./progress.ts";
import { installToolchain } from "./toolchain/install.ts";
import { toolTable } from "./toolchain/table.ts";

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

/** Releases whose services are in this repository; the later ones are data only. */
const releasesWithServices = (): string[] =>
  allReleases()
    .map(({ id }) => id)
    .filter((id) => existsSync(join(repositoryFolder, "tests", "workload", id)));

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
  await step("images", async (onProgress) => {
    const { buildImages } = await import("./images/build.ts");
    const dockerHost = env["DOCKER_HOST"] as string;
    await buildImages({ home: platform.homeFolder, dockerHost, releases: releasesWithServices(), onProgress });
  });
  if (!options["no-tour"]) {
    await step("tour", async () => {
      const { runTour } = await import("./tour/tour.ts");
      await runTour(platform, {});
    });
  }
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
