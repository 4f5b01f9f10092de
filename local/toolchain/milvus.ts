import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { cacheFolder } from "../folders.ts";
import { withLock } from "./cache-lock.ts";
import { ensurePython } from "./python.ts";
import { ensureWheel } from "./wheel.ts";
import type { Wheel } from "./wheel.ts";

/** Milvus 2.3.5: the real standalone server and its libraries, each packed by itself (56 MB, 246 MB unpacked). */
export const milvusWheel: Wheel = { name: "milvus", version: "2.3.5", binary: "milvus/data/bin/milvus.lzma" };

/** Path of Milvus in the cache, beside the libraries that it needs, whether or not it is there yet. */
export const milvusBinary = (): string => join(cacheFolder(), `milvus-server-${milvusWheel.version}`, "milvus");

/** Unpacks Milvus into the cache on first use and returns the path of its binary. */
export async function ensureMilvus(): Promise<string> {
  const binary = milvusBinary();
  if (existsSync(binary)) return binary;
  const packed = dirname(await ensureWheel(milvusWheel));
  const python = await ensurePython();
  const folder = dirname(binary);
  await withLock(`${folder}.lock`, async () => {
    if (existsSync(binary)) return;
    const unfinished = `${folder}.new`;
    await rm(unfinished, { recursive: true, force: true });
    await execa(python, ["-c", unpack, packed, unfinished]);
    await rm(folder, { recursive: true, force: true });
    await rename(unfinished, folder);
  });
  return binary;
}

/** Node knows no LZMA; the Python that unpacked the wheel does. */
const unpack = `
import lzma, os, pathlib, shutil, sys
packed, folder = map(pathlib.Path, sys.argv[1:])
folder.mkdir(parents=True)
for file in packed.glob("*.lzma"):
    target = folder / file.stem
    with lzma.open(file) as source, open(target, "wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
    os.chmod(target, 0o755)
`;
