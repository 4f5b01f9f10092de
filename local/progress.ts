/** Seconds between two signs of life while a step is silent. */
const heartbeatSeconds = 10;

/**
 * Plain lines with the seconds since the start: the same on a terminal, in a log and in CI. A step that talks much shows at
 * most one of its lines every ten seconds, and one that is silent says that it is still at work.
 */
export class Progress {
  readonly #startedAtMs = performance.now();
  readonly #write: (line: string) => void;

  constructor(write: (line: string) => void = (line) => process.stdout.write(`${line}\n`)) {
    this.#write = write;
  }

  /** Seconds since the start. */
  get seconds(): number {
    return (performance.now() - this.#startedAtMs) / 1000;
  }

  /** Shows a text of one or more lines. */
  say(text: string): void {
    const time = `[${this.seconds.toFixed(0).padStart(4)} s]`;
    this.#write(`${time} ${text.replaceAll("\n", `\n${" ".repeat(time.length + 1)}`)}`);
  }

  /** Runs one step, names it when it starts and ends; `note` takes what may be shown meanwhile. */
  async step<T>(title: string, work: (note: (text: string) => void) => Promise<T>): Promise<T> {
    const startedAtMs = performance.now();
    const elapsed = (): string => `${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`;
    let lastNote = "";
    this.say(title);
    const heartbeat = setInterval(() => {
      this.say(`  ${lastNote === "" ? title : lastNote} (${elapsed()})`);
    }, heartbeatSeconds * 1000);
    try {
      const result = await work((text) => {
        lastNote = text;
      });
      this.say(`  done: ${title} (${elapsed()})`);
      return result;
    } catch (error) {
      this.say(`  failed: ${title} (${elapsed()})`);
      throw error;
    } finally {
      clearInterval(heartbeat);
    }
  }
}
