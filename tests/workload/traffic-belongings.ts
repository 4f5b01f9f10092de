import type { SeededRandom } from "./seeded-random.ts";
import type { TrafficRecord } from "./traffic-history.ts";

export interface OwnedPrompt {
  readonly id: string;
  /** False when its create was sent more than once: a late copy could make it again after a delete. */
  readonly isDeletable: boolean;
}

export interface OwnedConversation {
  readonly id: string;
  /** Messages in it, at most one page. */
  messages: number;
}

/** Records of one tenant that one worker, and nobody else, may touch: their present state is known for certain. */
export class Belongings {
  readonly #prompts: OwnedPrompt[] = [];
  #conversation: OwnedConversation | undefined;

  get size(): number {
    return this.#prompts.length;
  }

  add(prompt: OwnedPrompt): void {
    this.#prompts.push(prompt);
  }

  pick(random: SeededRandom): OwnedPrompt {
    return random.pick(this.#prompts);
  }

  /** Forgets a prompt that is deleted, or about which nothing is certain any more. */
  drop(prompt: OwnedPrompt): void {
    const index = this.#prompts.indexOf(prompt);
    if (index >= 0) this.#prompts.splice(index, 1);
  }

  /** The conversation that is open for messages, if any. */
  get conversation(): OwnedConversation | undefined {
    return this.#conversation;
  }

  set conversation(conversation: OwnedConversation | undefined) {
    this.#conversation = conversation;
  }
}

/** Prompts that earlier runs of a log left behind in a state that is certain. */
export function inheritable(records: readonly TrafficRecord[]): TrafficRecord[] {
  return records.filter(
    ({ kind, id, possible, isUncertain }) =>
      kind === "prompt" && id !== undefined && !isUncertain && possible.length === 1 && possible[0] !== undefined,
  );
}
