import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { getImage, readImages } from "../../components/images.ts";
import { runCommandLine } from "../../coordinator/command-line.ts";
import { RegistryClient } from "../../coordinator/images/registry-client.ts";
import { sourceLabel } from "../../coordinator/images.ts";
import { bcryptHash } from "../../local/plugins/random/bcrypt.ts";
import { getRelease } from "../../releases/catalog.ts";
import { r1, stackText } from "./command-fixture.ts";
import { ImageRegistry } from "./image-registry.ts";

const login = {
  line: `pull:${bcryptHash("pull")}`,
  username: "pull",
  password: "pull",
};

const services = (id: string) => getRelease(id).services.filter(({ kind }) => kind === "container");

describe("coordinator images resolve, with a real registry", function () {
  this.timeout(60_000);
  let registry: ImageRegistry;
  let folder: string;
  let digests: Record<string, string>;

  const stackFile = () => join(folder, "Pulumi.staging.yaml");
  const imagesFile = () => join(folder, "images.json");
  const write = (images: string, extra = "\n    registry: { url: env:RC_TEST_REGISTRY }") =>
    writeFile(stackFile(), stackText.replace("images: env:RC_IMAGES_FILE", `images: ${images} # digests${extra}`));
  const resolve = async (...words: string[]) => {
    const [out, err]: [string[], string[]] = [[], []];
    const terminal = { stdout: (text: string) => void out.push(text), stderr: (text: string) => void err.push(text) };
    const code = await runCommandLine(["images", "resolve", "--env", "staging", ...words], terminal, folder);
    return { code, stdout: out.join(""), stderr: err.join("") };
  };
  const written = async () =>
    parse(await readFile(stackFile(), "utf8")).config["release-coordinator:environment"].images;

  before(async () => {
    registry = await ImageRegistry.start();
    digests = {};
    for (const { name, artifact, version, source } of services("r1"))
      digests[name] = await registry.push(`team/${artifact}`, version, { [sourceLabel]: source ?? "" });
    process.env["RC_TEST_REGISTRY"] = `${registry.url}/team`;
  });
  after(async () => {
    await registry.stop();
    delete process.env["RC_TEST_REGISTRY"];
    delete process.env["RC_IMAGES_FILE"];
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "images-"));
    await writeFile(join(folder, "Pulumi.yaml"), "name: release-coordinator\nruntime: nodejs\n");
    process.env["RC_IMAGES_FILE"] = imagesFile();
    await write("{}");
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("writes the digest of every pinned container into the stack file, which stays sound", async () => {
    const dry = await resolve("--dry-run");
    assert.equal(dry.code, 0, dry.stderr);
    assert.deepEqual(await written(), {});
    const run = await resolve("--json");
    assert.equal(run.code, 0, run.stderr);
    const host = new URL(registry.url).host;
    const images = await written();
    assert.deepEqual(
      Object.keys(images),
      services("r1").map(({ name }) => `r1/${name}`),
    );
    for (const { name, artifact, source } of services("r1")) {
      const digest = digests[name];
      assert.deepEqual(images[`r1/${name}`], { image: `${host}/team/${artifact}@${digest}`, digest, source });
    }
    const text = await readFile(stackFile(), "utf8");
    assert.match(text, /name: dev # comments stay/);
    assert.match(text, /# digests/);
    assert.equal(getImage(readImages(images), "r1/platform-api").digest, digests["platform-api"]);
    const again = await resolve();
    assert.match(again.stdout, /has them all/);
    assert.equal(await readFile(stackFile(), "utf8"), text);
  });

  it("writes the file that the stack file names, and leaves other images in it alone", async () => {
    await write("env:RC_IMAGES_FILE");
    const before = await readFile(stackFile(), "utf8");
    await writeFile(imagesFile(), JSON.stringify({ keeper: { image: "rc/keeper:1", digest: "sha256:1" } }));
    assert.equal((await resolve()).code, 0);
    assert.equal(await readFile(stackFile(), "utf8"), before);
    const images = JSON.parse(await readFile(imagesFile(), "utf8"));
    assert.equal(images.keeper.image, "rc/keeper:1");
    assert.equal(images["r1/observability"].digest, digests["observability"]);
    assert.equal(readImages("env:RC_IMAGES_FILE")["r1/observability"]?.digest, digests["observability"]);
  });

  it("refuses, all at once, what is missing, what was built from something else, and writes nothing", async () => {
    const [first, second] = services("r2");
    await registry.push(`team/${first?.artifact}`, first?.version ?? "", { [sourceLabel]: "0".repeat(64) });
    await registry.push(`team/${second?.artifact}`, second?.version ?? "", {});
    const run = await resolve("--release", "r2", "--json");
    assert.equal(run.code, 2, run.stderr);
    const { reasons } = JSON.parse(run.stdout);
    assert.equal(reasons.length, services("r2").length + 1);
    assert.match(
      reasons[0],
      /r2\/platform-api: rc\/platform-api:2\.0\.0 was built from 0{64}, the release states \w{64}/,
    );
    assert.match(reasons[1], /something without the label release-coordinator\.source/);
    assert.match(reasons[2], /r2\/agent-orchestrator: .* is not in the registry/);
    assert.deepEqual(await written(), {});
  });

  it("refuses another digest for an artifact that the environment knows", async () => {
    assert.equal((await resolve()).code, 0);
    const [service] = services("r1");
    const labels = { [sourceLabel]: service?.source ?? "" };
    const moved = await registry.push(`team/${service?.artifact}`, service?.version ?? "", {
      ...labels,
      built: "again",
    });
    const before = await readFile(stackFile(), "utf8");
    const run = await resolve();
    assert.equal(run.code, 2);
    assert.match(run.stdout, new RegExp(`has the digest ${moved}, kept is ${digests["platform-api"]}`));
    assert.equal(await readFile(stackFile(), "utf8"), before);
    await registry.push(`team/${service?.artifact}`, service?.version ?? "", labels);
    assert.equal((await resolve()).code, 0);
  });

  it("reads lists of images for several platforms, and says when ours is not in one", async () => {
    const client = new RegistryClient({ url: registry.url });
    const digest = await registry.pushIndex("lists/one", "1", { [sourceLabel]: "abc" });
    assert.deepEqual(await client.find("lists/one", "1"), { digest, labels: { [sourceLabel]: "abc" } });
    await registry.pushIndex("lists/other", "1", {}, "arm64");
    await assert.rejects(client.find("lists/other", "1"), /holds no image for linux\/amd64/);
    assert.equal(await client.find("lists/one", "9"), undefined);
  });

  it("replaces the keeper's image, which belongs to no release", async () => {
    await registry.push("team/rc/keeper", "0.1.0", { built: "1" });
    assert.equal((await resolve("--keeper", "0.1.0")).code, 0);
    const next = await registry.push("team/rc/keeper", "0.1.0", { built: "2" });
    assert.equal((await resolve("--keeper", "0.1.0")).code, 0);
    assert.equal((await written()).keeper.digest, next);
  });

  it("names the key when the stack file has no registry, and the address when nobody answers", async () => {
    await write("{}", "");
    const none = await resolve();
    assert.equal(none.code, 1);
    assert.match(none.stderr, /names no registry; add: registry: \{ url: env:RC_DEV_REGISTRY_URL \}/);
    await write("{}");
    process.env["RC_TEST_REGISTRY"] = "http://127.0.0.1:1";
    const silent = await resolve();
    process.env["RC_TEST_REGISTRY"] = `${registry.url}/team`;
    assert.equal(silent.code, 1);
    assert.match(silent.stderr, /registry 127\.0\.0\.1:1 does not answer: .*curl http:\/\/127\.0\.0\.1:1\/v2\//);
    assert.ok(r1.startsWith("r1@"));
  });
});

describe("a registry client", function () {
  this.timeout(30_000);

  it("logs in where the registry asks for it, and names the keys when it is not let in", async () => {
    const registry = await ImageRegistry.start(login);
    try {
      const digest = await registry.push("rc/x", "1", { a: "b" });
      const { username, password } = login;
      assert.equal(
        (await new RegistryClient({ url: registry.url, username, password }).find("rc/x", "1"))?.digest,
        digest,
      );
      await assert.rejects(
        new RegistryClient({ url: registry.url }).find("rc/x", "1"),
        /an unknown visitor pull .*registry\.username/,
      );
      const wrong = new RegistryClient({ url: registry.url, username, password: "hunter2" });
      await assert.rejects(wrong.find("rc/x", "1"), (error: Error) => {
        assert.match(error.message, /does not let this login pull/);
        assert.doesNotMatch(error.message, /hunter2/);
        return true;
      });
    } finally {
      await registry.stop();
    }
  });

  it("asks the token server that a registry names, and believes no answer whose hash differs", async () => {
    const asked: string[] = [];
    const body = JSON.stringify({ schemaVersion: 2, config: { digest: `sha256:${"0".repeat(64)}` } });
    const server = createServer((request, response) => {
      const url = new URL(request.url ?? "", "http://127.0.0.1");
      asked.push(`${url.pathname}${url.search} ${request.headers.authorization ?? ""}`);
      if (url.pathname === "/token") return response.end(JSON.stringify({ token: "t0ken" }));
      if (request.headers.authorization !== "Bearer t0ken") {
        const { port } = server.address() as AddressInfo;
        const realm = `Bearer realm="http://127.0.0.1:${port}/token",service="s",scope="repository:a:pull"`;
        return response.writeHead(401, { "WWW-Authenticate": realm }).end();
      }
      return response.end(url.pathname.includes("/blobs/") ? "{}" : body);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const client = new RegistryClient({ url, username: "u", password: "p" });
      await assert.rejects(
        client.find("a", "1"),
        /a:1, its config: the registry says sha256:0{64}, but what it sent hashes to/,
      );
      assert.match(asked[1] ?? "", /^\/token\?scope=repository%3Aa%3Apull&service=s Basic dTpw$/);
    } finally {
      server.close();
    }
  });

  it("refuses addresses that would send a login in clear, and those that carry one", () => {
    assert.throws(() => new RegistryClient({ url: "http://registry.example/team" }), /allowed for this machine only/);
    assert.throws(
      () => new RegistryClient({ url: "https://u:hunter2@registry.example" }),
      (error: Error) => !error.message.includes("hunter2") && /without credentials/.test(error.message),
    );
  });
});
