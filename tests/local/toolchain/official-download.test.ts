import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile, mkdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AddressInfo } from "node:net";
import { execa } from "execa";
import { downloadOfficial, isKnownUnreachable } from "../../../local/toolchain/official-download.ts";

describe("downloadOfficial", () => {
  let folder: string;
  let server: Server;
  let requests: string[];
  let host: string;
  const memoryFile = (): string => join(folder, "unreachable.json");
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rc-download-"));
    requests = [];
    await mkdir(join(folder, "thing"));
    await writeFile(join(folder, "thing", "tool"), "#!/bin/sh\necho works\n");
    await execa("tar", ["-czf", "thing.tar.gz", "thing"], { cwd: folder });
    await execa("python3", ["-m", "zipfile", "-c", "thing.zip", "thing/tool"], { cwd: folder });
    server = createServer((request, response) => {
      requests.push(request.url as string);
      readFile(join(folder, request.url as string)).then(
        (content) => response.end(content),
        () => response.writeHead(403).end(),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    server.close();
    await rm(folder, { recursive: true, force: true });
  });

  for (const [archive, inside] of [
    ["thing.tar.gz", "thing"],
    ["thing.zip", ""],
  ] as const)
    it(`unpacks ${archive} and makes its binaries executable`, async () => {
      const binFolder = join(folder, "cache", "bin");
      assert.equal(
        await downloadOfficial({ url: `${host}/${archive}`, folder: inside }, binFolder, memoryFile()),
        true,
      );
      assert.equal((await execa(join(binFolder, "tool"))).stdout, "works");
    });

  it("takes a binary that comes without an archive", async () => {
    const binFolder = join(folder, "cache", "bin");
    const download = { url: `${host}/thing/tool`, folder: "", binary: "renamed" };
    assert.equal(await downloadOfficial(download, binFolder, memoryFile()), true);
    assert.equal((await execa(join(binFolder, "renamed"))).stdout, "works");
  });

  it("asks an address that refuses once, and again a day later", async () => {
    const url = `${host}/missing.tar.gz`;
    for (let time = 0; time < 3; time++)
      assert.equal(await downloadOfficial({ url, folder: "" }, join(folder, "cache", "bin"), memoryFile()), false);
    assert.deepEqual(requests, ["/missing.tar.gz"]);
    assert.equal(await isKnownUnreachable(url, memoryFile(), new Date(Date.now() + 25 * 3_600_000)), false);
  });
});
