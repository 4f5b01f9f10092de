const BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** What became of a request, as a metric label. */
export type Outcome = "ok" | "refused" | "fenced" | "failed";

/** Counts and latencies of one service in Prometheus' text format. */
export class RequestCounts {
  readonly #labels: string;
  readonly #counts = new Map<string, number>();
  readonly #buckets = new Array<number>(BUCKETS_SECONDS.length).fill(0);
  #seconds = 0;
  #requests = 0;

  constructor(service: string, release: string) {
    this.#labels = `service="${service}",release="${release}"`;
  }

  /** @param seconds from the first byte read to the answer sent */
  record(tenant: string, outcome: Outcome, seconds: number): void {
    const labels = `${this.#labels},tenant="${tenant}",outcome="${outcome}"`;
    this.#counts.set(labels, (this.#counts.get(labels) ?? 0) + 1);
    BUCKETS_SECONDS.forEach((bound, index) => {
      if (seconds <= bound) this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    });
    this.#seconds += seconds;
    this.#requests += 1;
  }

  render(): string {
    const labels = this.#labels;
    return [
      "# TYPE rc_requests_total counter",
      ...[...this.#counts].map(([series, count]) => `rc_requests_total{${series}} ${count}`),
      "# TYPE rc_request_seconds histogram",
      ...BUCKETS_SECONDS.map(
        (bound, index) => `rc_request_seconds_bucket{${labels},le="${bound}"} ${this.#buckets[index]}`,
      ),
      `rc_request_seconds_bucket{${labels},le="+Inf"} ${this.#requests}`,
      `rc_request_seconds_sum{${labels}} ${this.#seconds}`,
      `rc_request_seconds_count{${labels}} ${this.#requests}`,
      "",
    ].join("\n");
  }
}
