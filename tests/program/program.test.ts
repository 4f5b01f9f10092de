import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allReleases } from "../../releases/catalog.ts";
import { pinOf } from "../../releases/pin.ts";
import { environmentOf, runMocked, type AskedResource } from "./mocked-program.ts";

const [r1, r2] = allReleases().map(pinOf);

describe("the program, under mocks", () => {
  let folder: string;
  let imagesFile: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "program-"));
    imagesFile = join(folder, "images.json");
    const names = allReleases().flatMap((release) =>
      release.services.map((service) => `${release.id}/${service.name}`),
    );
    const images = Object.fromEntries(
      [...names, "keeper"].map((name) => [name, { image: `rc/${name}:1`, digest: "sha256:0" }]),
    );
    writeFileSync(imagesFile, JSON.stringify(images));
  });
  after(() => rmSync(folder, { recursive: true }));

  const pins = (now: string | undefined, back: string | undefined) => (environment: Record<string, unknown>) => {
    environment["pins"] = Object.fromEntries(
      Object.keys(environment["pins"] as object).map((wave) => [wave, { now, back }]),
    );
    if (now === r1 && back === "none") environment["present"] = { vault: false, milvus: false };
  };
  const find = (asked: AskedResource[], name: string, type: string) =>
    asked.find((resource) => resource.name === name && resource.type.endsWith(`:${type}`));

  /** Golden list: a pull request shows in it what changes where. UPDATE_EXPECTED=1 writes it anew. */
  const golden = (name: string, asked: AskedResource[]) => {
    const file = new URL(`./expected/${name}.json`, import.meta.url);
    const list = asked.map((resource) => `${resource.type} ${resource.name}`);
    if (process.env["UPDATE_EXPECTED"] === "1") writeFileSync(file, `${JSON.stringify(list, null, 2)}\n`);
    assert.deepEqual(list, JSON.parse(readFileSync(file, "utf8")));
  };

  it("renders the first release without Vault and keeper", async () => {
    const asked = await runMocked(environmentOf("dev", pins(r1, "none")), imagesFile);
    golden("dev-r1", asked);
    assert.deepEqual(
      asked.filter((resource) => resource.type.startsWith("vault:")),
      [],
    );
  });

  it("renders both fleets side by side while the way back is open", async () => {
    const asked = await runMocked(environmentOf("dev"), imagesFile);
    golden("dev", asked);
    assert.ok(find(asked, "r1-local", "Fleet") && find(asked, "r2-local", "Fleet"));
  });

  it("renders staging in two clusters, and its first release without Vault and keeper", async () => {
    golden("staging", await runMocked(environmentOf("staging"), imagesFile));
    golden("staging-r1", await runMocked(environmentOf("staging", pins(r1, "none")), imagesFile));
  });

  it("renders prod in two clusters as it is pinned, and at its next release with both fleets", async () => {
    golden("prod", await runMocked(environmentOf("prod"), imagesFile));
    golden("prod-r2", await runMocked(environmentOf("prod", pins(r2, r1)), imagesFile));
  });

  it("asks for the same number of resources for eight tenants and for eight hundred", async () => {
    const few = await runMocked(environmentOf("dev"), imagesFile);
    const many = await runMocked(
      environmentOf("dev", (environment) => {
        environment["tenants"] = Array.from({ length: 800 }, (_, index) => ({ id: `tenant-${index}`, tags: [] }));
      }),
      imagesFile,
    );
    assert.equal(many.length, few.length);
  });

  it("asks for the same number of resources for a thousand tenants and for ten thousand, in twenty waves on three regions", async () => {
    const asked = async (tenants: number, waves: number) => {
      const wide = environmentOf("staging", (environment) => {
        const names = Array.from({ length: waves }, (_, index) => `wave-${index}`);
        const [pin] = Object.values(environment["pins"] as Record<string, unknown>);
        const [first, ...others] = environment["regions"] as object[];
        environment["regions"] = [first, { ...first, name: "asia" }, ...others];
        environment["waves"] = names.map((name, index) => ({
          name,
          selector: index === waves - 1 ? { rest: true } : { percentage: 4 },
        }));
        environment["pins"] = Object.fromEntries(names.map((name) => [name, pin]));
        environment["tenants"] = Array.from({ length: tenants }, (_, index) => ({ id: `tenant-${index}`, tags: [] }));
      });
      return (await runMocked(wide, imagesFile)).length;
    };
    const many = await asked(10_000, 20);
    assert.equal(many, await asked(1000, 20));
    // A wave more is its component and three nodes.
    assert.equal(many - (await asked(0, 19)), 4);
  });

  it("gives migration nodes references to credentials, never credentials", async () => {
    const asked = await runMocked(environmentOf("dev"), imagesFile);
    const nodes = asked.filter((resource) => resource.type.startsWith("pulumi-nodejs:"));
    assert.ok(nodes.length > 10);
    assert.doesNotMatch(JSON.stringify(nodes), /hunter2|mocked-password|mocked-token|mocked-secret/);
  });

  it("tells each migration node its own URN, with all that it stands in, so that it can show progress there", async () => {
    const asked = await runMocked(environmentOf("dev"), imagesFile);
    const prepare = find(asked, "canary-prepare", "Prepare")?.inputs["__urn"];
    const wave = "release-coordinator:components:Platform$release-coordinator:components:Wave";
    assert.match(String(prepare), /^urn:pulumi:[^:]+::[^:]+::/);
    assert.ok(
      String(prepare).endsWith(`::${wave}$pulumi-nodejs:dynamic/migrations:Prepare::canary-prepare`),
      String(prepare),
    );
  });

  it("shows no credential in the inputs of a component, which the state keeps as they are", async () => {
    const asked = await runMocked(environmentOf("dev"), imagesFile);
    const components = asked.filter((resource) => resource.type.startsWith("release-coordinator:"));
    assert.ok(components.length > 5);
    assert.doesNotMatch(JSON.stringify(components), /hunter2|mocked-password|mocked-token|mocked-secret/);
  });

  it("keeps the nodes' direction out of their inputs: promotion and rollback differ in pins only", async () => {
    const forward = find(await runMocked(environmentOf("dev", pins(r2, r1)), imagesFile), "canary-cutover", "Cutover");
    const back = find(await runMocked(environmentOf("dev", pins(r1, r2)), imagesFile), "canary-cutover", "Cutover");
    const { release: _r, back: _b, ...same } = forward?.inputs ?? {};
    const { release: _r2, back: _b2, ...other } = back?.inputs ?? {};
    assert.deepEqual(same, other);
  });

  it("refuses an edited release by both hashes before it asks for anything", async () => {
    await assert.rejects(
      runMocked(environmentOf("dev", pins("r2@000000000000", r1)), imagesFile),
      (error: Error) => error.message.includes("r2@000000000000") && error.message.includes(String(r2)),
    );
  });
});
