import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { buildImages, type BuiltImage, imagesFile, sourceHash } from "../../../local/images/build.ts";
import { IMAGE_SERVICES } from "../../../local/images/bundle.ts";
import { type RunningDocker, startDocker, stopDocker } from "../../../local/servers/docker.ts";
import { findFreePort } from "../../../local/servers/free-port.ts";
import { allReleases } from "../../../releases/catalog.ts";
import { ContractDatabases } from "../../workload/contract-database.ts";
import { ServiceClient } from "../../workload/service-client.ts";

const R1 = { release: "r1", pin: "r1@000000000001" };

describe("the images of the workload", function () {
  this.timeout(240_000);
  const databases = new ContractDatabases();
  let folder: string;
  let docker: RunningDocker;
  let images: Record<string, BuiltImage>;
  let container = "";
  const path = process.env["PATH"];

  const run = async (...args: string[]): Promise<string> =>
    (await execa("docker", args, { env: { DOCKER_HOST: docker.host } })).stdout;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rc-images-"));
    docker = await startDocker({ homeFolder: join(folder, "home"), dataFolder: join(folder, "data") });
    process.env["PATH"] = [...docker.binFolders, path].join(delimiter);
    images = await buildImages({ home: folder, dockerHost: docker.host, releases: ["r1"] });
    await databases.createRoles(["r1"]);
    await databases.createRegistry();
    await databases.createTenant("acme", R1);
  });
  after(async () => {
    if (container !== "") await run("rm", "--force", container);
    await databases.drop();
    if (docker?.isOurs) await stopDocker({ homeFolder: join(folder, "home"), dataFolder: join(folder, "data") });
    process.env["PATH"] = path;
    await rm(folder, { recursive: true, force: true });
  });

  it("are listed with a tag that names the source, the daemon's digest, and the source", async () => {
    assert.deepEqual(JSON.parse(await readFile(imagesFile(folder), "utf8")), images);
    for (const service of IMAGE_SERVICES) {
      const { image, digest, source } = images[`r1/${service}`]!;
      assert.equal(image, `rc/${service}:r1-${source.slice(0, 12)}`);
      assert.equal(source, await sourceHash(service, "r1"));
      assert.equal(await run("image", "inspect", "--format", "{{.Id}}", image), digest);
    }
  });

  it("share the layer that holds Node", async () => {
    const layers = await Promise.all(
      IMAGE_SERVICES.map((each) =>
        run("image", "inspect", "--format", "{{json .RootFS.Layers}}", images[`r1/${each}`]!.image),
      ),
    );
    const first = layers.map((each) => (JSON.parse(each) as string[])[0]);
    assert.equal(new Set(first).size, 1);
    assert.equal(new Set(layers).size, IMAGE_SERVICES.length);
  });

  it("are not built again while their source is the same", async () => {
    const lines: string[] = [];
    const again = await buildImages({
      home: folder,
      dockerHost: docker.host,
      releases: ["r1"],
      onProgress: (text) => lines.push(text),
    });
    assert.deepEqual(again, images);
    assert.ok(
      lines.every((line) => line.includes(": unchanged ")),
      lines.join("\n"),
    );
  });

  it("have a source that differs between services and between releases", async () => {
    const all = ["r1", "r2"].flatMap((release) => IMAGE_SERVICES.map((service) => sourceHash(service, release)));
    assert.equal(new Set(await Promise.all(all)).size, 8);
    await assert.rejects(sourceHash("marketplace", "r1"), /release r1 has no marketplace.*platform-api/);
  });

  it("serve a tenant from a container without a shell, as nobody, and leave on SIGTERM", async () => {
    const port = String(await findFreePort());
    const env = {
      SERVICE: "platform-api",
      RELEASE: R1.release,
      RELEASE_PIN: R1.pin,
      PORT: port,
      DATABASE_URL: databases.databaseUrl("r1"),
      REGISTRY_URL: databases.registryUrl("r1"),
      ENVIRONMENT: "test",
    };
    const variables = Object.entries(env).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
    const image = images["r1/platform-api"]!.image;
    container = await run("run", "--detach", "--network", "host", ...variables, image);
    const health = (): Promise<boolean> =>
      run("exec", container, "/node", "/service/health.mjs").then(
        () => true,
        () => false,
      );
    while (!(await health())) {
      assert.equal(
        await run("inspect", "--format", "{{.State.Running}}", container),
        "true",
        await run("logs", container),
      );
      await sleep(100);
    }
    const client = new ServiceClient(`http://127.0.0.1:${port}`, "acme");
    const made = await client.createPrompt("container-1", { title: "t", body: "from a container" });
    assert.equal(made.status, 201);
    assert.equal((await client.getPrompt(made.json.id)).json.body, "from a container");
    const pid = await run("inspect", "--format", "{{.State.Pid}}", container);
    assert.match(await readFile(`/proc/${pid}/status`, "utf8"), /^Uid:\s+65534\s/m);
    await run("stop", container);
    assert.equal(await run("inspect", "--format", "{{.State.ExitCode}}", container), "0");
  });
});

describe("the release data", function () {
  this.timeout(60_000);

  it("states the source of every service that has one", async () => {
    for (const release of allReleases()) {
      for (const service of release.services) {
        if (service.source === null) continue;
        const actual = await sourceHash(service.name, release.id);
        const mend = `a published release is immutable: undo the change, or add a release; before publication put it into releases/${release.id}.ts`;
        assert.equal(service.source, actual, `${release.id}/${service.name} is made of ${actual}: ${mend}`);
      }
    }
  });
});
