import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBackendFiles } from "../../../coordinator/backend/backend-files.ts";
import type { BackendFiles } from "../../../coordinator/backend/backend-files.ts";
import { createDatabase, databaseUrl, dropDatabase } from "../../servers.ts";
import { factsOf } from "../evidence/evidence-fixture.ts";
import { EvidenceLog } from "../../../coordinator/evidence/evidence-log.ts";
import { S3Server, s3Credentials } from "./s3-server.ts";
import pg from "pg";

/** The same questions to a folder, a bucket and a table. */
describe("files of a backend", function () {
  this.timeout(180_000);
  let folder: string;
  let server: S3Server;
  const before_ = { ...process.env };
  const backends = ["file", "s3", "s3 with a folder", "postgres"] as const;
  const urls = new Map<string, string>();

  before(async function () {
    this.timeout(900_000); // the S3 server's packages are installed the first time
    Object.assign(process.env, s3Credentials);
    folder = await mkdtemp(join(tmpdir(), "backend-files-"));
    server = await S3Server.start();
    const bucket = await server.makeBucket("state");
    await createDatabase("rc_state");
    const client = new pg.Client({ connectionString: databaseUrl("rc_state") });
    await client.connect();
    await client.query(
      "CREATE TABLE pulumi_state (key text PRIMARY KEY, data json NOT NULL, updated_at timestamptz DEFAULT now())",
    );
    await client.end();
    urls.set("file", `file://${folder}`).set("s3", bucket).set("postgres", databaseUrl("rc_state"));
    urls.set("s3 with a folder", bucket.replace("s3://state?", "s3://state/team/platform?"));
  });
  after(async () => {
    await server.stop();
    await rm(folder, { recursive: true });
    await dropDatabase("rc_state");
    for (const key of Object.keys(s3Credentials))
      if (before_[key] === undefined) delete process.env[key];
      else process.env[key] = before_[key];
  });

  async function withFiles<T>(name: string, use: (files: BackendFiles) => Promise<T>): Promise<T> {
    const files = await openBackendFiles(urls.get(name) ?? "");
    assert.ok(files);
    try {
      return await use(files);
    } finally {
      await files.close();
    }
  }

  for (const name of backends) {
    it(`are made once, read and listed: ${name}`, () =>
      withFiles(name, async (files) => {
        assert.deepEqual(await files.list("a/"), []);
        assert.equal(await files.read("a/1.json"), undefined);
        const text = 'what "stands" there: ä € \u{1f600}\n';
        assert.equal(await files.create("a/1.json", text), true);
        assert.equal(await files.create("a/1.json", "another"), false);
        assert.equal(await files.read("a/1.json"), text);
        await files.create("a/2.json", "2");
        await files.create("b/3.json", "3");
        assert.deepEqual(await files.list("a/"), ["a/1.json", "a/2.json"]);
      }));

    it(`take one of many writers at once: ${name}`, () =>
      withFiles(name, async (files) => {
        const texts = Array.from({ length: 8 }, (_, nth) => `writer ${nth}`);
        const won = await Promise.all(texts.map((text) => files.create("race/1.json", text)));
        assert.equal(won.filter(Boolean).length, 1, "exactly one");
        assert.equal(await files.read("race/1.json"), texts[won.indexOf(true)]);
      }));

    it(`keep a chain that several people write at once: ${name}`, () =>
      withFiles(name, async (files) => {
        const log = new EvidenceLog(files, { project: "shop", environment: "dev" });
        await Promise.all(["ana", "ben", "cleo"].map((who) => log.append(factsOf({ who }))));
        const { entries, faults } = await log.read();
        assert.deepEqual(faults, []);
        assert.deepEqual(entries.map(({ who }) => who).sort(), ["ana", "ben", "cleo"]);
      }));
  }

  it("are out of reach on other backends", async () => {
    for (const url of ["https://api.pulumi.com", "azblob://state", "gs://state"])
      assert.equal(await openBackendFiles(url), undefined);
  });
});
