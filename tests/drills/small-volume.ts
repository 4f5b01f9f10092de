import { chown, mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { findServerUser } from "../../local/servers/server-user.ts";

/** A tmpfs of a few MiB for a tablespace: a disk that can be filled without filling anybody else's. Needs root. */
export class SmallVolume {
  static readonly #mounted = new Set<SmallVolume>();
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** @param sizeMib of the whole volume */
  static async mount(sizeMib: number): Promise<SmallVolume> {
    const folder = await mkdtemp(join(tmpdir(), "release-coordinator-drill-volume-"));
    await execa("mount", ["-t", "tmpfs", "-o", `size=${sizeMib}m,mode=700`, "tmpfs", folder]).catch((error: Error) => {
      throw new Error(
        `the drill of a full volume mounts a tmpfs, which needs root with CAP_SYS_ADMIN: ${error.message}`,
      );
    });
    const volume = new SmallVolume(folder);
    SmallVolume.#mounted.add(volume);
    const user = findServerUser();
    if (user !== undefined) await chown(folder, user.uid, user.gid);
    return volume;
  }

  /** Unmounts all of them; their servers must have ended. */
  static async unmountAll(): Promise<void> {
    for (const volume of SmallVolume.#mounted) {
      await execa("umount", ["--lazy", volume.folder]);
      await rm(volume.folder, { recursive: true, force: true });
    }
    SmallVolume.#mounted.clear();
  }

  /** Leaves no more than this free. */
  async fill(freeBytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.folder);
    await writeFile(this.#filler, Buffer.alloc(Math.max(0, bavail * bsize - freeBytes)));
  }

  async empty(): Promise<void> {
    await rm(this.#filler, { force: true });
  }

  get #filler(): string {
    return join(this.folder, "filler");
  }
}
