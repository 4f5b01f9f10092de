// `make down`: stops the platform's servers and containers; data, ports and secrets stay.
import { Platform } from "./platform.ts";
import { Progress } from "./progress.ts";

const progress = new Progress();
const platform = new Platform({ onProgress: (text) => progress.say(text) });
await platform.withLock(() => platform.stop());
