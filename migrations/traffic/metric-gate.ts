/** A question to Prometheus and what its answer is held to. */
export interface MetricGate {
  readonly id: string;
  readonly title: string;
  /** PromQL, complete. */
  readonly query: string;
  readonly compare: "at-most" | "at-least";
  readonly value: number;
  readonly unit: string;
}

export interface MetricJudgement {
  readonly id: string;
  readonly outcome: "go" | "no-go" | "needs-human";
  /** Observed, operator, limit; or why nothing was observed. */
  readonly text: string;
}

/**
 * Asks Prometheus' HTTP API (`/api/v1/query`) and holds the worst number of the answer to the limit. Without a number nobody
 * knows: a server that does not answer, an empty answer and NaN are `needs-human`, never `go`.
 * @param url of Prometheus; a path before `/api` is kept
 */
export async function judgeMetric(url: string, gate: MetricGate): Promise<MetricJudgement> {
  const limit = `${gate.compare.replace("-", " ")} ${gate.value} ${gate.unit}`;
  const nothing = (why: string): MetricJudgement => ({
    id: gate.id,
    outcome: "needs-human",
    text: `${gate.id}: observed nothing, ${limit}: needs-human (${why})`,
  });
  let numbers: readonly number[];
  try {
    numbers = await query(url, gate.query);
  } catch (error) {
    return nothing(reasonOf(error));
  }
  if (numbers.length === 0) return nothing("the query has no result: nothing was measured");
  if (numbers.some((each) => Number.isNaN(each)))
    return nothing("the query's result is no number: nothing was counted");
  const observed = gate.compare === "at-most" ? Math.max(...numbers) : Math.min(...numbers);
  const isKept = gate.compare === "at-most" ? observed <= gate.value : observed >= gate.value;
  const outcome = isKept ? "go" : "no-go";
  return { id: gate.id, outcome, text: `${gate.id}: observed ${rounded(observed)} ${gate.unit}, ${limit}: ${outcome}` };
}

/** The answer of an instant query, as Prometheus documents it. */
interface Answer {
  readonly status: "success" | "error";
  readonly error?: string;
  readonly data?: { readonly resultType: string; readonly result: unknown };
}

/** One number a series. @throws why there is no answer, without the URL: it may hold a password */
async function query(url: string, text: string): Promise<readonly number[]> {
  const base = new URL(url);
  const authorization =
    base.username === ""
      ? {}
      : {
          authorization: `Basic ${Buffer.from(`${decodeURIComponent(base.username)}:${decodeURIComponent(base.password)}`).toString("base64")}`,
        };
  base.username = "";
  base.password = "";
  base.pathname = `${base.pathname.replace(/\/$/, "")}/api/v1/query`;
  const response = await fetch(base, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded", ...authorization },
    body: new URLSearchParams({ query: text }),
    signal: AbortSignal.timeout(10_000),
  });
  const answer = (await response.json().catch(() => undefined)) as Answer | undefined;
  if (!response.ok || answer?.status !== "success")
    throw new Error(answer?.error ?? `HTTP ${response.status} without an answer`);
  const { resultType, result } = answer.data ?? {};
  // A scalar is [time, "value"]; a vector one object a series.
  if (resultType === "scalar") return [numberOf((result as [number, string])[1])];
  if (resultType === "vector") return (result as { value: [number, string] }[]).map(({ value }) => numberOf(value[1]));
  throw new Error(`the query gives a ${resultType}; allowed are queries that give a vector or a scalar`);
}

/** Prometheus writes infinities as `+Inf` and `-Inf`. */
function numberOf(text: string): number {
  return /^[+-]?Inf$/.test(text) ? Number(text.replace("Inf", "Infinity")) : Number(text);
}

function rounded(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value);
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  return `Prometheus did not say: ${(cause as { code?: string } | undefined)?.code ?? message}`;
}
