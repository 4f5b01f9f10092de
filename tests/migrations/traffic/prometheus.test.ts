import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePort } from "../../../local/servers/free-port.ts";
import { ensurePrometheus } from "../../../local/toolchain/prometheus.ts";
import { judgeMetric } from "../../../migrations/traffic/metric-gate.ts";
import type { MetricJudgement } from "../../../migrations/traffic/metric-gate.ts";
import { getRelease } from "../../../releases/catalog.ts";
import { trafficPlanOf } from "../../../releases/traffic-plan.ts";
import { RequestCounts } from "../../workload/request-counts.ts";

/** The queries of r2's own gates, asked of Prometheus itself about what the services really tell. */
describe("r2's gates, asked of Prometheus", function () {
  this.timeout(180_000);
  const counts = new RequestCounts("platform-api", "r2");
  let answers: { readonly outcome: "ok" | "failed"; readonly seconds: number } = { outcome: "ok", seconds: 0.002 };
  // Every look finds a hundred requests more.
  const service = createServer((_request, response) => {
    for (let left = 100; left > 0; left -= 1) counts.record("acme", answers.outcome, answers.seconds);
    response.setHeader("content-type", "text/plain; version=0.0.4");
    response.end(counts.render());
  });
  let folder: string;
  let prometheus: ChildProcess;
  let url: string;
  const gates = trafficPlanOf([getRelease("r1"), getRelease("r2")]).steps[0]?.gates ?? [];
  const ask = (id: string, about = "r2"): Promise<MetricJudgement> => {
    const gate = gates.find((each) => each.id === id);
    assert.ok(gate);
    return judgeMetric(url, { ...gate, query: gate.query.replaceAll('release="r2"', `release="${about}"`) });
  };
  const until = async (id: string, outcome: MetricJudgement["outcome"]): Promise<string> => {
    for (;;) {
      const judged = await ask(id);
      if (judged.outcome === outcome) return judged.text;
      await sleep(250);
    }
  };

  before(async () => {
    await new Promise<void>((done) => void service.listen(0, "127.0.0.1", done));
    const binary = await ensurePrometheus();
    folder = await mkdtemp(join(tmpdir(), "prometheus-"));
    const port = await findFreePort();
    const target = `127.0.0.1:${(service.address() as AddressInfo).port}`;
    const settings = {
      global: { scrape_interval: "1s", scrape_timeout: "1s" },
      scrape_configs: [{ job_name: "fleet", static_configs: [{ targets: [target] }] }],
    };
    await writeFile(join(folder, "prometheus.yml"), JSON.stringify(settings));
    const words = [
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=error",
    ];
    // It ends with this process, however that ends.
    prometheus = spawn("setpriv", ["--pdeathsig", "KILL", "--", binary, ...words], { stdio: "ignore" });
    url = `http://127.0.0.1:${port}`;
    while (
      !(await fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      ))
    ) {
      assert.equal(prometheus.exitCode, null, "Prometheus ended");
      await sleep(100);
    }
  });
  after(async () => {
    if (prometheus?.exitCode === null) {
      const ended = once(prometheus, "exit");
      prometheus.kill();
      await ended;
    }
    service.closeAllConnections();
    service.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("are go when the service answers well and quickly", async () => {
    assert.match(await until("error-rate", "go"), /observed 0 percent, at most 1 percent/);
    assert.match(await until("latency-p99", "go"), /observed 0\.00\d* seconds, at most 0.8 seconds/);
  });

  it("need a human for a release that nobody has asked anything", async () => {
    for (const { id } of gates) {
      const { outcome, text } = await ask(id, "r9");
      assert.equal(outcome, "needs-human", text);
    }
  });

  it("are no-go when it fails, or answers slowly", async () => {
    answers = { outcome: "failed", seconds: 3 };
    assert.match(await until("error-rate", "no-go"), /observed \d+(\.\d+)? percent, at most 1 percent: no-go/);
    assert.match(await until("latency-p99", "no-go"), /observed \d+(\.\d+)? seconds/);
  });

  it("tell Prometheus' own words when a query is none", async () => {
    const [gate] = gates;
    assert.ok(gate);
    const { outcome, text } = await judgeMetric(url, { ...gate, query: "sum(" });
    assert.deepEqual([outcome, /parse error/.test(text)], ["needs-human", true], text);
  });
});
