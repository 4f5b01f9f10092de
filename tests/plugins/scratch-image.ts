import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";

/** Makes an image with nothing but this Node at `/node` and the libraries it needs; no registry is asked. */
export async function makeNodeImage(dockerHost: string, name: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "rc-image-"));
  try {
    await mkdir(join(folder, "tmp"));
    await cp(process.execPath, join(folder, "node"), { dereference: true });
    const { stdout } = await execa("ldd", [process.execPath]);
    for (const [path] of stdout.matchAll(/\/\S+\.so\S*/g)) {
      await mkdir(join(folder, dirname(path)), { recursive: true });
      await cp(path, join(folder, path), { dereference: true });
    }
    const tar = execa("tar", ["-c", "-C", folder, "."], { encoding: "buffer", buffer: false, stderr: "ignore" });
    const [repository = "", tag = "latest"] = name.split(":");
    const socket = dockerHost.slice("unix://".length);
    const url = `http://docker/v1.41/images/create?fromSrc=-&repo=${encodeURIComponent(repository)}&tag=${tag}`;
    await tar.pipe("curl", ["--silent", "--fail", "--unix-socket", socket, "-X", "POST", "-T", "-", url]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
