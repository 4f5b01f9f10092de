import { link, mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { BackendFiles } from "./backend-files.ts";

/** A `file://` backend. */
export class FolderFiles implements BackendFiles {
  readonly #root: string;

  /** @param url `file:///absolute/path`, `file://relative/path` or `file://~` */
  constructor(url: string) {
    const [path = ""] = url.slice("file://".length).split("?");
    this.#root =
      path === "" || path.startsWith("~")
        ? join(process.env["HOME"] ?? "/", path.slice(1))
        : path.startsWith("/")
          ? fileURLToPath(`file://${path}`)
          : join(process.cwd(), path);
  }

  async list(prefix: string): Promise<string[]> {
    const folder = join(this.#root, prefix.endsWith("/") ? prefix : dirname(prefix));
    const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch(absentAs([]));
    return names
      .filter((entry) => entry.isFile())
      .map((entry) => relative(this.#root, join(entry.parentPath, entry.name)))
      .filter((key) => key.startsWith(prefix))
      .sort();
  }

  read(key: string): Promise<string | undefined> {
    return readFile(join(this.#root, key), "utf8").catch(absentAs(undefined));
  }

  /** A link is made in one step and refuses a name that is taken, so nobody ever sees half of a file. */
  async create(key: string, text: string): Promise<boolean> {
    const path = join(this.#root, key);
    const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}.part`;
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, "wx", 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
      await link(temporary, path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw error;
    } finally {
      await file.close();
      await rm(temporary, { force: true });
    }
  }

  async close(): Promise<void> {}
}

function absentAs<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return value;
    throw error;
  };
}
