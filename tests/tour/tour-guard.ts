// Entry of the process that owns the platform of one tour: it starts the platform, prints its variables, waits until its
// standard input ends (which it does however the test run dies), and removes everything.
import { buildImages } from "../../local/images/build.ts";
import { Platform } from "../../local/platform.ts";
import { installPlugins } from "../../local/plugins/install.ts";

const [homeFolder = ""] = process.argv.slice(2);
const platform = new Platform({ homeFolder, onProgress: (text) => process.stderr.write(`    ${text}\n`) });

let ending: Promise<void> | undefined;
function end(exitCode: number): void {
  ending ??= platform
    .withLock(() => platform.clean())
    .catch((error: Error) => process.stderr.write(`${error.message}\n`))
    .then(() => process.exit(exitCode));
}
process.stdin.on("end", () => end(0));
process.stdin.on("error", () => end(0));
process.stdin.resume();
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => end(0));

try {
  await platform.withLock(() => platform.start());
  const env = platform.environment;
  await installPlugins({ env });
  await buildImages({ home: homeFolder, dockerHost: env["DOCKER_HOST"] ?? "", releases: ["r1", "r2"] });
  process.stdout.write(`${JSON.stringify(env)}\n`);
} catch (error) {
  process.stderr.write(`${(error as Error).stack}\n`);
  end(1);
}
