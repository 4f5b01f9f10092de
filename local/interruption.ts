/** The user pressed Ctrl-C, or somebody asked this process to end. */
export class Interrupted extends Error {
  constructor() {
    super("interrupted; nothing is half done: `make up` goes on where this stopped, `make down` stops the servers");
    this.name = "Interrupted";
  }
}

/**
 * Makes Ctrl-C safe: the first one lets the present step end and stops before the next one (a program that the step runs in
 * this terminal gets it too, and ends in its own way), the second one ends this process at once.
 */
export class Interruption {
  #isAsked = false;

  constructor(say: (text: string) => void) {
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.on(signal, () => {
        if (this.#isAsked) process.exit(130);
        this.#isAsked = true;
        say("stopping after this step; once more stops at once");
      });
  }

  get isAsked(): boolean {
    return this.#isAsked;
  }

  /** @throws {Interrupted} when it was asked for */
  throwIfAsked(): void {
    if (this.#isAsked) throw new Interrupted();
  }
}
