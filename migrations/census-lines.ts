import type { WaveCensus } from "./census.ts";
import type { MirrorCensus } from "./member-census.ts";
import { sampleRows } from "./mirror/estimate.ts";
import { obstacleText } from "./mirror/preflight.ts";
import type { WaveInputs } from "./wave-inputs.ts";

/** A census as lines for people: what is moved, how long it takes, how long the way back takes after each step, what is in the way. */
export function censusLines(inputs: WaveInputs, census: WaveCensus): string[] {
  const { release, wave } = inputs;
  const building = census.mirrors.filter((mirror) => mirror.step === "build");
  const following = census.mirrors.filter((mirror) => mirror.step === "follow");
  const lines = [`wave ${wave} to ${release.pin}: ${census.moving} of ${census.tenants} tenants move`];
  if (building.length > 0) {
    const rows = sum(building, "rows");
    lines.push(
      `prepare copies ${rows} rows, ${mib(sum(building, "bytes"))} in ${building.length} tenants: ${duration(seconds(building))} ${rateLabel(building)}, ${mib(sum(building, "diskBytes"))} of disk`,
    );
  }
  if (following.length > 0) {
    lines.push(
      `prepare drains ${census.dirty} captured changes in ${following.length} tenants: ${duration(drainSeconds(census))}`,
    );
  }
  if (building.length + following.length > 0) {
    lines.push(
      "way back after prepare: nothing has moved; after cutover: captured changes drained, then a flip, seconds; " +
        `after finalize: the other side is rebuilt, ${duration(seconds(census.mirrors))} ${rateLabel(census.mirrors)}`,
    );
  }
  lines.push(...census.obstacles.map((obstacle) => `refused: ${obstacleText(obstacle)}`));
  return lines;
}

function sum(mirrors: readonly MirrorCensus[], field: "rows" | "bytes" | "diskBytes"): number {
  return mirrors.reduce((total, mirror) => total + mirror[field], 0);
}

/** Seconds for the copies, were they made one after another. */
function seconds(mirrors: readonly MirrorCensus[]): number {
  return mirrors.reduce(
    (total, mirror) => total + (mirror.rowsPerS === undefined ? 0 : mirror.rows / mirror.rowsPerS),
    0,
  );
}

function drainSeconds(census: WaveCensus): number {
  const rates = census.mirrors.flatMap((mirror) => mirror.rowsPerS ?? []);
  return rates.length === 0 ? 0 : census.dirty / Math.min(...rates);
}

function rateLabel(mirrors: readonly MirrorCensus[]): string {
  return mirrors.some((mirror) => mirror.rateFrom === "sampled")
    ? `(estimated from reading and sealing ${sampleRows} rows)`
    : "(from measured rates)";
}

function mib(bytes: number): string {
  return bytes < 1_048_576 ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.round(bytes / 1_048_576)} MiB`;
}

function duration(totalSeconds: number): string {
  return totalSeconds < 90 ? `about ${Math.ceil(totalSeconds)} s` : `about ${Math.ceil(totalSeconds / 60)} minutes`;
}
