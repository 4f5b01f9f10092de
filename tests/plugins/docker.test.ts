import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DockerEngine } from "../../local/plugins/docker/docker-engine.ts";
import type { Inspection } from "../../local/plugins/docker/container-state.ts";
import { startDocker, stopDocker } from "../../local/servers/docker.ts";
import type { RunningDocker } from "../../local/servers/docker.ts";
import { faultsOfState } from "./official-sdk.ts";
import { ProgramStack } from "./program-stack.ts";
import { makeNodeImage } from "./scratch-image.ts";

const image = "rc-plg/node:1";
const name = "plg-service";

interface Options {
  readonly script?: string;
  readonly check?: string;
  readonly greeting?: string;
  readonly restart?: string;
  readonly waitTimeout?: number;
  readonly interval?: string;
  readonly more?: string;
}

const listening = `console.log("up", process.env.GREETING); setInterval(() => {}, 1000)`;

function program(options: Options = {}): string {
  const script = options.script ?? listening;
  return `
    import * as pulumi from "@pulumi/pulumi";
    import * as docker from "@pulumi/docker";
    const image = new docker.RemoteImage("image", { name: "${image}", keepLocally: true });
    const service = new docker.Container("service", {
      name: "${name}", image: image.name, entrypoints: ["/node"], command: ["-e", ${JSON.stringify(script)}],
      envs: ["GREETING=${options.greeting ?? "hello"}", pulumi.secret("TOKEN=plg-very-secret")],
      labels: [{ label: "rc", value: "plg" }], networkMode: "host", user: "65534:65534", restart: "${options.restart ?? "no"}",
      healthcheck: { tests: ["CMD", "/node", "-e", ${JSON.stringify(options.check ?? "0")}], interval: "${options.interval ?? "1s"}", timeout: "60s", retries: 3 },
      wait: true, waitTimeout: ${options.waitTimeout ?? 60}, memory: 256, destroyGraceSeconds: 1, ${options.more ?? ""}
    });
    export const id = service.id;
    export const imageId = image.imageId;
  `;
}

describe("stand-in of the docker plugin", function () {
  this.timeout(300_000);
  let stack: ProgramStack;
  let docker: RunningDocker;
  let engine: DockerEngine;
  let home: string;
  const args = () => ({ homeFolder: home, dataFolder: join(home, "d") });
  const inspect = () => engine.find<Inspection>(`/containers/${name}/json`);

  before(async () => {
    home = await mkdtemp(join(tmpdir(), "rc-plg-"));
    docker = await startDocker(args());
    engine = new DockerEngine(docker.host);
    await makeNodeImage(docker.host, image);
    stack = await ProgramStack.create();
    stack.env["DOCKER_HOST"] = docker.host;
  });

  after(async () => {
    await stack.destroy();
    await engine.remove(`/containers/${name}?force=true`);
    await engine.remove(`/images/${image}?force=true`);
    await stack.remove();
    if (docker.isOurs) await stopDocker(args());
    await rm(home, { recursive: true, force: true });
  });

  it("starts a container, waits until it is healthy, then finds nothing to do, nor drift", async () => {
    const run = await stack.up(program());
    assert.deepEqual(run.summary, { create: 3 }, run.text);
    const found = await inspect();
    assert.equal(found?.State.Health?.Status, "healthy");
    const { id, imageId } = await stack.outputs();
    assert.equal(found?.Id, id);
    assert.equal(found?.Image, imageId);
    assert.match(await engine.logs(name, 5), /^up hello/);
    assert.deepEqual((await stack.up(program())).summary, { same: 3 });
    const refreshed = await stack.refresh();
    assert.deepEqual(refreshed.summary, { same: 3 }, refreshed.text);
    assert.equal((await stack.getResource("image")).id, `${String(imageId)}${image}`);
  });

  it("returns what the official SDK's types say, no output more, none less, and secret what is secret there", async () => {
    const resources = await stack.resources();
    assert.ok(resources.length > 1);
    assert.deepEqual(resources.flatMap(faultsOfState), []);
  });

  it("keeps a secret element of the environment out of the state file, and the others readable", async () => {
    const file = await stack.stateFile();
    assert.ok(!file.includes("plg-very-secret"));
    assert.ok(file.includes("GREETING=hello"));
  });

  it("changes the restart policy in place, and takes another spelling of a duration for the same", async () => {
    const { id } = await stack.outputs();
    const run = await stack.up(program({ restart: "unless-stopped", interval: "1000ms" }));
    assert.deepEqual(run.summary, { same: 2, update: 1 }, run.text);
    const found = await inspect();
    assert.equal(found?.Id, id);
    assert.equal(found?.HostConfig.RestartPolicy.Name, "unless-stopped");
    assert.equal((await stack.up(program({ interval: "1s" }))).exitCode, 0);
  });

  it("previews a changed environment variable as a replacement, and replaces", async () => {
    const { id } = await stack.outputs();
    const preview = await stack.preview(program({ greeting: "good morning" }));
    assert.deepEqual(preview.summary, { replace: 1, same: 2 }, preview.text);
    const run = await stack.up(program({ greeting: "good morning" }));
    assert.deepEqual(run.summary, { replace: 1, same: 2 }, run.text);
    assert.notEqual((await inspect())?.Id, id);
    assert.match(await engine.logs(name, 5), /^up good morning/);
  });

  it("starts a container again that somebody stopped, after a refresh has seen it", async () => {
    await engine.post(`/containers/${name}/stop?t=0`);
    const refreshed = await stack.refresh();
    assert.deepEqual(refreshed.summary, { same: 2, update: 1 }, refreshed.text);
    const run = await stack.up(program({ greeting: "good morning" }));
    assert.deepEqual(run.summary, { same: 2, update: 1 }, run.text);
    assert.equal((await inspect())?.State.Health?.Status, "healthy");
    assert.deepEqual((await stack.up(program({ greeting: "good morning" }))).summary, { same: 3 });
  });

  it("makes a container again that somebody removed", async () => {
    await engine.remove(`/containers/${name}?force=true`);
    assert.equal((await stack.refresh()).summary["delete"], 1);
    const run = await stack.up(program({ greeting: "good morning" }));
    assert.deepEqual(run.summary, { create: 1, same: 2 }, run.text);
  });

  it("fails with the health check's output and the last log lines, and leaves no container", async () => {
    const sick = program({
      script: `console.log("no licence found"); setInterval(() => {}, 1000)`,
      check: `console.log("port closed"); process.exit(7)`,
      waitTimeout: 8,
    });
    const run = await stack.up(sick);
    assert.notEqual(run.exitCode, 0);
    assert.match(run.text, /container "plg-service" is not healthy after 8 s/);
    assert.match(run.text, /exit code 7: port closed/);
    assert.match(run.text, /last log lines:\s+no licence found/);
    assert.equal(await inspect(), undefined);
  });

  it("fails at once when the container ends, with its exit code", async () => {
    const run = await stack.up(program({ script: `console.log("cannot bind"); process.exit(3)` }));
    assert.notEqual(run.exitCode, 0);
    assert.match(run.text, /ended with exit code 3/);
    assert.match(run.text, /cannot bind/);
  });

  it("replaces what a killed update left behind, and refuses a stranger's container of that name", async () => {
    const urn = "urn:pulumi:test::plugins::docker:index/container:Container::service";
    const leave = async (Labels: Record<string, string>): Promise<string> => {
      const body = {
        Image: image,
        Entrypoint: ["/node"],
        Cmd: ["-e", "1"],
        Labels,
        HostConfig: { NetworkMode: "host" },
      };
      return (await engine.post<{ Id: string }>(`/containers/create?name=${name}`, body)).Id;
    };
    const stranger = await leave({ "release-coordinator.urn": "urn:pulumi:other" });
    const refused = await stack.up(program());
    assert.notEqual(refused.exitCode, 0);
    assert.match(refused.text, /belongs to urn:pulumi:other; mend: docker rm -f plg-service/);
    await engine.remove(`/containers/${stranger}?force=true`);

    const left = await leave({ "release-coordinator.urn": urn });
    const run = await stack.up(program());
    // The engine goes on with the replacement that failed before.
    assert.deepEqual(run.summary, { replace: 1, same: 2 }, run.text);
    assert.notEqual((await inspect())?.Id, left);
  });

  it("refuses in the preview what it does not serve, and a wait without a health check", async () => {
    const unserved = await stack.preview(program({ more: `gpus: "all"` }));
    assert.notEqual(unserved.exitCode, 0);
    assert.match(unserved.text, /does not serve \\*"gpus/);
    assert.match(unserved.text, /pulumi plugin install resource docker 5\.2\.0/);
    const bare = await stack.preview(`
      import * as docker from "@pulumi/docker";
      new docker.Container("bare", { name: "plg-bare", image: "${image}", wait: true });
    `);
    assert.notEqual(bare.exitCode, 0);
    assert.match(bare.text, /without a \\*"healthcheck/);
  });

  it("names the image that is missing", async () => {
    const run = await stack.up(program().replaceAll(image, "rc-plg/missing:1"));
    assert.notEqual(run.exitCode, 0);
    assert.match(run.text, /there is no image \\*"rc-plg\/missing:1/);
  });

  it("removes the container and keeps the image", async () => {
    const run = await stack.destroy();
    assert.equal(run.exitCode, 0, run.text);
    assert.equal(await inspect(), undefined);
    assert.notEqual(await engine.find(`/images/${image}/json`), undefined);
  });
});
