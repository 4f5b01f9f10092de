import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { faultSentence, preflight } from "../../local/preflight.ts";
import { machineProbes } from "../../local/preflight-probes.ts";
import type { PreflightProbes } from "../../local/preflight-probes.ts";

/** A fresh machine on which nothing is wrong: all must be built, and can be. */
const good: PreflightProbes = {
  machine: { system: "linux", architecture: "x64", isGlibc: true },
  nodeVersion: "24.1.0",
  isRoot: true,
  folders: { home: "/checkout/.local", data: "/data", cache: "/cache", userHome: "/home/ana" },
  hasProgram: () => true,
  toolsToBuild: async () => ["pulumi", "vault"],
  goVersion: async () => "1.26.0",
  isPythonReady: async () => false,
  python: async () => ({ version: "3.11.2", hasVenv: true }),
  hasDockerDaemon: async () => false,
  isDockerEngineReady: async () => false,
  isWritable: () => true,
  diskOf: () => ({ disk: 1, freeGib: 20 }),
  ports: async () => [{ port: 25_432, server: "PostgreSQL" }],
  isPortFree: async () => true,
};

const sentences = async (change: Partial<PreflightProbes>): Promise<string[]> =>
  (await preflight({ ...good, ...change })).map(faultSentence);

async function onlySentence(change: Partial<PreflightProbes>): Promise<string> {
  const all = await sentences(change);
  assert.equal(all.length, 1, all.join("\n"));
  return all[0] as string;
}

describe("preflight", () => {
  it("finds nothing on a fresh machine that has what it takes", async () => {
    assert.deepEqual(await sentences({}), []);
  });

  it("refuses another system or processor with one sentence, whatever else is wrong", async () => {
    for (const machine of [
      { system: "darwin", architecture: "arm64", isGlibc: false },
      { system: "linux", architecture: "arm64", isGlibc: true },
    ])
      assert.match(
        await onlySentence({ machine, nodeVersion: "18.0.0", isWritable: () => false }),
        new RegExp(`${machine.system} on ${machine.architecture}.*dev container`),
      );
    const musl = { system: "linux", architecture: "x64", isGlibc: false };
    assert.match(await onlySentence({ machine: musl }), /without glibc/);
  });

  it("refuses a Node that cannot run TypeScript, and takes the oldest that can", async () => {
    for (const nodeVersion of ["18.20.0", "20.20.2", "22.17.9"])
      assert.match(await onlySentence({ nodeVersion }), new RegExp(`Node ${nodeVersion}.*make up`));
    for (const nodeVersion of ["22.18.0", "23.0.0", "24.0.0"]) assert.deepEqual(await sentences({ nodeVersion }), []);
  });

  it("misses Go only when something must be built", async () => {
    assert.match(
      await onlySentence({ goVersion: async () => undefined }),
      /pulumi and vault.*there is no Go.*install Go/,
    );
    assert.match(await onlySentence({ goVersion: async () => "1.19.8" }), /Go 1\.19\.8 is older than 1\.21/);
    assert.deepEqual(await sentences({ goVersion: async () => undefined, toolsToBuild: async () => [] }), []);
  });

  it("misses Python or its venv only when the environment is not made yet", async () => {
    assert.match(await onlySentence({ python: async () => undefined }), /no python3; run `apt-get install python3/);
    assert.match(
      await onlySentence({ python: async () => ({ version: "3.9.2", hasVenv: true }) }),
      /3\.9\.2, older than 3\.10/,
    );
    assert.match(await onlySentence({ python: async () => ({ version: "3.11.2", hasVenv: false }) }), /python3-venv/);
    assert.deepEqual(await sentences({ python: async () => undefined, isPythonReady: async () => true }), []);
  });

  it("needs a Docker daemon or the right to start one", async () => {
    assert.match(await onlySentence({ isRoot: false }), /only root may start one; run `sudo systemctl start docker`/);
    assert.deepEqual(await sentences({ isRoot: false, hasDockerDaemon: async () => true }), []);
    const noApt = { hasProgram: (name: string) => name !== "apt-get" };
    assert.match(await onlySentence(noApt), /no apt-get.*install Docker/);
    assert.deepEqual(await sentences({ ...noApt, isDockerEngineReady: async () => true }), []);
  });

  it("names each program of the system that is missing", async () => {
    assert.match(
      await onlySentence({ hasProgram: (name) => name !== "setpriv" }),
      /setpriv is missing; run `apt-get install util-linux`/,
    );
  });

  it("adds up what one disk must hold, and says how much is free", async () => {
    assert.match(
      await onlySentence({ diskOf: () => ({ disk: 1, freeGib: 9.96 }) }),
      /10\.0 GiB free, and 11 GiB are needed/,
    );
    const twoDisks = (path: string) => ({ disk: path === "/cache" ? 2 : 1, freeGib: path === "/cache" ? 8 : 3 });
    assert.deepEqual(await sentences({ diskOf: twoDisks }), []);
    assert.deepEqual(await sentences({ toolsToBuild: async () => [], diskOf: () => ({ disk: 1, freeGib: 3 }) }), []);
  });

  it("names each folder that is read-only; the user's home matters to builds only", async () => {
    const readOnly = (folder: string) => ({ isWritable: (path: string) => path !== folder });
    assert.match(await onlySentence(readOnly("/checkout/.local")), /\/checkout\/\.local is read-only.*RC_HOME/);
    assert.match(await onlySentence(readOnly("/home/ana")), /\/home\/ana is read-only.*Go's caches/);
    assert.deepEqual(await sentences({ ...readOnly("/home/ana"), toolsToBuild: async () => [] }), []);
  });

  it("names a port that somebody else took, with its server", async () => {
    assert.match(
      await onlySentence({ isPortFree: async () => false }),
      /Port 25432, chosen for PostgreSQL.*endpoints\.json/,
    );
  });

  it("tells all faults at once", async () => {
    const all = await sentences({
      nodeVersion: "20.0.0",
      isRoot: false,
      goVersion: async () => undefined,
      python: async () => undefined,
      isWritable: () => false,
      diskOf: () => ({ disk: 1, freeGib: 0.1 }),
      isPortFree: async () => false,
    });
    assert.equal(all.length, 10, all.join("\n"));
    for (const sentence of all) assert.match(sentence, /^[^\n]+; [^\n]+\.$/);
  });
});

describe("the probes of this machine", () => {
  it("answer every question", async () => {
    const probes = machineProbes("/nowhere/yet/.local", new Set());
    assert.equal(probes.nodeVersion, process.versions.node);
    assert.equal(probes.hasProgram("sh"), true);
    assert.equal(probes.hasProgram("no-such-program"), false);
    assert.equal(probes.isWritable(tmpdir()), true);
    assert.ok(probes.diskOf("/nowhere/yet/.local").freeGib > 0);
    assert.deepEqual(await probes.ports(), []);
    assert.match((await probes.python())?.version ?? "", /^3\./);
    assert.equal(typeof (await probes.hasDockerDaemon()), "boolean");
  });
});
