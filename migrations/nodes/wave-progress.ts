import type { ProgressStep, TenantProgress } from "../mirror/progress.ts";

/** Shows one line where the next one replaces it. Neither throws nor waits. */
export type ShowLine = (line: string) => void;

/** Shortest time between two lines, milliseconds. */
export const lineEveryMs = 1000;

/** Where a tenant's step was when it was first heard of: rates count from there. */
interface Beginning {
  readonly step: ProgressStep;
  readonly atMs: number;
  readonly rows: number;
}

/** Makes one line, at most one a second, of what the workers of a wave tell: tenant, rows, rate, time left. */
export class WaveProgress {
  readonly #tenants: number;
  readonly #show: ShowLine;
  readonly #nowMs: () => number;
  readonly #beginnings = new Map<string, Beginning>();
  #ended = 0;
  #shownAtMs = -Infinity;

  /** @param tenants of the run @param nowMs a clock that only goes forward, milliseconds */
  constructor(tenants: number, show: ShowLine, nowMs: () => number = () => performance.now()) {
    this.#tenants = tenants;
    this.#show = show;
    this.#nowMs = nowMs;
  }

  record({ tenant, step, rows, ofRows, waitsFor }: TenantProgress): void {
    const nowMs = this.#nowMs();
    if (waitsFor !== undefined) return this.#tell(`${tenant}: waits for ${waitsFor}`, nowMs);
    const known = this.#beginnings.get(tenant);
    const beginning = known?.step === step ? known : { step, atMs: nowMs, rows };
    this.#beginnings.set(tenant, beginning);
    const perMs = (rows - beginning.rows) / (nowMs - beginning.atMs);
    const isMeasured = Number.isFinite(perMs) && perMs > 0;
    const parts = [
      `${tenant}: ${rows}${ofRows === undefined ? "" : ` of about ${ofRows}`} rows ${step}`,
      ...(isMeasured ? [`${Math.round(perMs * 1000)} rows/s`] : []),
      ...(isMeasured && ofRows !== undefined
        ? [`about ${durationText((ofRows - rows) / perMs)} left for this step`]
        : []),
    ];
    this.#tell(parts.join(", "), nowMs);
  }

  /** A tenant has ended, however. */
  end(tenant: string, status: "done" | "partial" | "failed"): void {
    this.#ended += 1;
    this.#beginnings.delete(tenant);
    this.#tell(`${tenant}: ${status}`, this.#nowMs());
  }

  #tell(text: string, nowMs: number): void {
    if (nowMs - this.#shownAtMs < lineEveryMs) return;
    this.#shownAtMs = nowMs;
    this.#show(`${text}; ${this.#ended} of ${this.#tenants} tenants ended`);
  }
}

function durationText(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
}
