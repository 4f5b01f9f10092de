// `make clean`: stops everything and removes the platform's data, ports, secrets and Pulumi state; the cache of tools stays.
import { Platform } from "./platform.ts";
import { Progress } from "./progress.ts";

const progress = new Progress();
const platform = new Platform({ onProgress: (text) => progress.say(text) });
await platform.withLock(() => platform.clean());
