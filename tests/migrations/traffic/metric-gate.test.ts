import assert from "node:assert/strict";
import { judgeMetric } from "../../../migrations/traffic/metric-gate.ts";
import type { MetricGate } from "../../../migrations/traffic/metric-gate.ts";
import { PrometheusServer, type Given } from "./prometheus-server.ts";

describe("a gate that is a query", () => {
  const server = new PrometheusServer();
  let url: string;
  before(async () => {
    url = await server.start();
  });
  after(() => server.stop());

  const errors: MetricGate = {
    id: "error-rate",
    title: "Few errors",
    query: "errors",
    compare: "at-most",
    value: 1,
    unit: "percent",
  };
  const judge = (given: Given, gate: Partial<MetricGate> = {}) => {
    server.answers.set("errors", given);
    return judgeMetric(url, { ...errors, ...gate });
  };

  it("says what was observed, the operator and the limit, and is go up to the limit itself", async () => {
    assert.deepEqual(await judge([0.25]), {
      id: "error-rate",
      outcome: "go",
      text: "error-rate: observed 0.25 percent, at most 1 percent: go",
    });
    assert.equal((await judge([1])).outcome, "go");
    const refused = await judge([4.20001]);
    assert.deepEqual(
      [refused.outcome, refused.text],
      ["no-go", "error-rate: observed 4.2 percent, at most 1 percent: no-go"],
    );
    assert.equal((await judge([Infinity])).outcome, "no-go");
  });

  it("is decided by the worst of several series, either way round", async () => {
    assert.match((await judge([0.1, 7, 0.2])).text, /observed 7 percent/);
    const availability = { id: "availability", compare: "at-least", value: 99 } as const;
    assert.equal(
      (await judge([99.9, 98], availability)).text,
      "availability: observed 98 percent, at least 99 percent: no-go",
    );
    assert.equal((await judge([99.9, 99], availability)).outcome, "go");
  });

  it("needs a human, and is never go, when nothing was measured or nobody answers", async () => {
    const error = { status: "error", errorType: "bad_data", error: "parse error: unexpected end of input" };
    const nothings: readonly [Given, RegExp][] = [
      [[], /nothing was measured/],
      [[0, NaN], /nothing was counted/],
      [{ status: 400, body: error }, /parse error: unexpected end/],
      [{ status: 503, body: "away" }, /HTTP 503/],
      [{ status: 200, body: { status: "success", data: { resultType: "matrix", result: [] } } }, /gives a matrix/],
      [
        { status: 200, body: { status: "success", data: { resultType: "vector", result: [{}] } } },
        /Prometheus did not say/,
      ],
    ];
    for (const [given, why] of nothings) {
      const { outcome, text } = await judge(given);
      assert.equal(outcome, "needs-human", text);
      assert.match(text, /^error-rate: observed nothing, at most 1 percent: needs-human/);
      assert.match(text, why);
    }
    const away = await judgeMetric("http://someone:hunter2@127.0.0.1:9", errors);
    assert.equal(away.outcome, "needs-human");
    assert.doesNotMatch(away.text, /hunter2/);
  });

  it("reads a scalar, and asks under the path that the URL has", async () => {
    const scalar = { status: 200, body: { status: "success", data: { resultType: "scalar", result: [1, "0.5"] } } };
    assert.equal((await judge(scalar)).outcome, "go");
    assert.equal((await judgeMetric(`${url}/prometheus/`, errors)).outcome, "needs-human");
    assert.equal((await judgeMetric(`${url}/`, errors)).outcome, "go");
  });
});
