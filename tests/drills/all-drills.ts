import type { Drill } from "./drill.ts";
import { badInput } from "./bad-input.ts";
import { clusters } from "./clusters.ts";
import { concurrent } from "./concurrent.ts";
import { fence } from "./fence.ts";
import { killPoints } from "./kill-points.ts";
import { killRandom } from "./kill-random.ts";
import { leak } from "./leak.ts";
import { live } from "./live.ts";
import { lostAck } from "./lost-ack.ts";
import { paused } from "./paused.ts";
import { restore } from "./restore.ts";
import { refusals } from "./refusals.ts";
import { roundTrip } from "./round-trip.ts";
import { servers } from "./servers.ts";
import { selfTest } from "./self-test.ts";
import { tamper } from "./tamper.ts";
import { trust } from "./trust.ts";
import { vectors } from "./vectors.ts";

/** Every drill, in the order in which they are described. */
export const allDrills: readonly Drill[] = [
  killPoints,
  lostAck,
  servers,
  killRandom,
  concurrent,
  leak,
  paused,
  live,
  fence,
  tamper,
  badInput,
  roundTrip,
  restore,
  selfTest,
  refusals,
  trust,
  vectors,
  clusters,
];
