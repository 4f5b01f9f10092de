import * as pulumi from "@pulumi/pulumi";
import { forgetPlaces } from "./components/places.ts";
import { Platform } from "./components/platform.ts";
import { loadRuntime } from "./components/runtime.ts";
import { parseEnvironment } from "./releases/environment.ts";
import { rolloutOf } from "./releases/rollout.ts";

forgetPlaces();

// An environment is a pure function of its stack file: `Pulumi.<env>.yaml` pins releases, the catalog says what they are.
const environment = parseEnvironment(new pulumi.Config().requireObject("environment"));
const openRuntime = await loadRuntime(environment);
const platform = new Platform(environment.name, { environment, rollout: rolloutOf(environment), openRuntime });

/** What each wave pins. */
export const pins = environment.pins;
/** What each wave's nodes did last. */
export const waves = platform.waves;
/** Tenants known to the registry after the update. */
export const tenants = platform.tenants;
