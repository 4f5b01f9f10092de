import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { parseDocument } from "yaml";
import { environmentKey } from "./history/history.ts";
import type { Pins, WavePins } from "./history/pinned-state.ts";
import { appendItem, removeEntry, removeItem, setBlock, setValue } from "./yaml-edit.ts";
import type { EditValue } from "./yaml-edit.ts";

/** What this class reads of an environment; releases/environment.ts checks the whole. */
interface EnvironmentShape {
  readonly pins?: Readonly<Record<string, Partial<WavePins>>>;
  readonly present?: Readonly<Record<string, boolean>>;
  readonly finalize?: Readonly<Record<string, readonly string[]>>;
  readonly leaving?: readonly string[];
  readonly waves?: readonly { readonly name?: string }[];
}

/**
 * `Pulumi.<env>.yaml` as people keep it: an edit changes the value it means and no other byte, so comments, order and
 * quoting survive. Edits happen in memory; `write` alone touches the disk.
 */
export class StackFile {
  readonly path: string;
  readonly original: string;
  #text: string;
  #onDisk: string;

  constructor(path: string, text: string) {
    this.path = path;
    this.original = text;
    this.#text = text;
    this.#onDisk = text;
    const [fault] = parseDocument(text).errors;
    if (fault) throw new Error(`${path}: ${fault.message}`);
    const environment = this.environment();
    if (typeof environment !== "object" || environment === null || Array.isArray(environment)) {
      throw new Error(`${path}: config has no object ${environmentKey}; Pulumi.dev.yaml shows one`);
    }
  }

  /** @throws when the file is missing, naming the option that chooses another */
  static async read(path: string): Promise<StackFile> {
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      throw new Error(
        `stack file ${path} does not exist; name an environment that has one (--env) or --config-file <path>`,
      );
    });
    return new StackFile(path, text);
  }

  /** The plain value of `release-coordinator:environment`, unchecked: releases/environment.ts parses it. */
  environment(): unknown {
    const settings = parseDocument(this.#text).toJS() as { config?: Record<string, unknown> } | null;
    return settings?.config?.[environmentKey];
  }

  pins(): Pins {
    const entries = Object.entries(this.#shape().pins ?? {});
    return Object.fromEntries(
      entries.map(([wave, { now, back }]) => [wave, { now: now ?? "none", back: back ?? "none" }]),
    );
  }

  setPins(wave: string, pins: WavePins): void {
    const before = this.pins()[wave];
    if (before?.now !== pins.now) this.#text = setValue(this.#text, pathTo("pins", wave, "now"), pins.now);
    if (before?.back !== pins.back) this.#text = setValue(this.#text, pathTo("pins", wave, "back"), pins.back);
  }

  /** Parts once present stay present: a protected node that left the program would stop even the preview. */
  addPresent(part: string): void {
    if (this.#shape().present?.[part] === true) return;
    this.#text = setValue(this.#text, pathTo("present", part), true);
  }

  /** The end of a part that has lost its protection; only `coordinator decommission` asks for it. */
  removePresent(part: string): void {
    if (this.#shape().present?.[part] === true) this.#text = setValue(this.#text, pathTo("present", part), "false");
  }

  /** Takes the protection off a part or a wave with the next update. */
  addLeaving(name: string): void {
    if (this.#shape().leaving?.includes(name)) return;
    this.#text = appendItem(this.#text, pathTo("leaving"), name);
  }

  removeLeaving(name: string): void {
    const names = this.#shape().leaving ?? [];
    if (!names.includes(name)) return;
    this.#text =
      names.length === 1
        ? removeEntry(this.#text, pathTo("leaving"))
        : removeItem(this.#text, pathTo("leaving"), names.indexOf(name));
  }

  /** Takes a wave out, with its pins and what it finalizes. */
  removeWave(name: string): void {
    const index = (this.#shape().waves ?? []).findIndex((wave) => wave.name === name);
    if (index < 0) return;
    this.removeFinalize(name);
    this.#text = removeItem(this.#text, pathTo("waves"), index);
    this.#text = removeEntry(this.#text, pathTo("pins", name));
  }

  /** Writes the images themselves, one a line; what stood there is replaced. */
  setImages(images: { readonly [key: string]: EditValue }): void {
    this.#text = setBlock(this.#text, pathTo("images"), images);
  }

  finalize(): Readonly<Record<string, readonly string[]>> {
    return this.#shape().finalize ?? {};
  }

  /** Names a mirror whose old side `finalize` may drop for one wave. */
  addFinalize(wave: string, mirror: string): void {
    if (this.finalize()[wave]?.includes(mirror)) return;
    this.#text = appendItem(this.#text, pathTo("finalize", wave), mirror);
  }

  removeFinalize(wave: string): void {
    if (wave in this.finalize()) this.#text = removeEntry(this.#text, pathTo("finalize", wave));
  }

  /** The file as it would be written. */
  text(): string {
    return this.#text;
  }

  get isChanged(): boolean {
    return this.#text !== this.original;
  }

  /**
   * Replaces the file in one step, so that a crash leaves the old or the new text, never half of one.
   * @throws when somebody has changed the file since it was read: their edit is not overwritten, and nobody has reviewed it
   */
  async write(): Promise<void> {
    await this.requireUnchanged();
    if (this.#text !== this.#onDisk) await this.#replace(this.#text);
  }

  /** @throws when the file on disk is not what was read, or written since */
  async requireUnchanged(): Promise<void> {
    if ((await readFile(this.path, "utf8")) === this.#onDisk) return;
    throw new Error(`${this.path} was changed by somebody else meanwhile; nothing was written: read it, and repeat`);
  }

  /** Takes `write` back: for an update that did not begin. */
  async restore(): Promise<void> {
    if (this.isChanged) await this.#replace(this.original);
  }

  async #replace(text: string): Promise<void> {
    const temporary = join(dirname(this.path), `.${basename(this.path)}.${process.pid}`);
    const { mode } = await stat(this.path);
    await writeFile(temporary, text, { mode });
    await rename(temporary, this.path);
    this.#onDisk = text;
  }

  #shape(): EnvironmentShape {
    return this.environment() as EnvironmentShape;
  }
}

function pathTo(...keys: readonly string[]): readonly string[] {
  return ["config", environmentKey, ...keys];
}
