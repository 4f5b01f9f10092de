import type { TrafficInputs, TrafficRegion } from "../traffic.ts";
import type { TrafficSplit } from "./split.ts";

/**
 * Makes a split true in a region whose gateway does not follow the registry.
 * @throws naming the region that could not be reached or refused it
 */
export async function carry(
  { carrier, environment }: TrafficInputs,
  region: TrafficRegion,
  split: TrafficSplit,
): Promise<void> {
  if (carrier.kind === "registry") return;
  const { applyHttpRoute } = await import("./http-route.ts");
  await applyHttpRoute({ environment, region, carrier, split });
}
