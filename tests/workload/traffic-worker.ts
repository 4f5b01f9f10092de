import type { Belongings, OwnedConversation, OwnedPrompt } from "./traffic-belongings.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { Reply, ServiceClient } from "./service-client.ts";
import { attempt, type Outcome } from "./traffic-attempt.ts";
import { pageDigest, sha256, type TrafficIntent, type TrafficLog, type TrafficOperation } from "./traffic-log.ts";
import { bodyText, keyOf, markerOf } from "./traffic-text.ts";

/** Messages after which a conversation is left alone: all of them stay on one page. */
const MESSAGES_PER_CONVERSATION = 30;

/** How often each operation is drawn. */
export type TrafficWeights = Readonly<Record<Exclude<TrafficOperation, "conversation-create">, number>>;

export interface WorkerArgs {
  readonly run: string;
  readonly worker: number;
  readonly random: SeededRandom;
  readonly corpus: readonly string[];
  readonly weights: TrafficWeights;
  readonly log: TrafficLog;
  readonly patienceMs?: number;
  /** Next number of an operation in this run. */
  nextSeq(): number;
  client(tenant: string): ServiceClient;
  /** What this worker owns of a tenant. */
  belongings(tenant: string): Belongings;
}

/** One client of the platform: one operation at a time, each in the log before the next one begins. */
export class TrafficWorker {
  readonly #args: WorkerArgs;

  constructor(args: WorkerArgs) {
    this.#args = args;
  }

  /** Does one operation on one of the tenants, to its end. */
  async step(tenants: readonly string[]): Promise<void> {
    const { random, weights } = this.#args;
    const tenant = random.pick(tenants);
    const own = this.#args.belongings(tenant);
    const operation = random.weighted(weights);
    if (operation === "prompt-list") return await this.#list(tenant);
    if (operation === "message-create" || operation === "message-read") {
      const { conversation } = own;
      if (conversation === undefined) return await this.#openConversation(tenant, own);
      if (operation === "message-read") return await this.#readMessages(tenant, conversation);
      return await this.#say(tenant, own, conversation);
    }
    if (operation === "prompt-create" || own.size === 0) return await this.#create(tenant, own);
    const prompt = own.pick(random);
    if (operation === "prompt-update") return await this.#update(tenant, own, prompt);
    if (operation === "prompt-delete" && prompt.isDeletable) return await this.#delete(tenant, own, prompt);
    if (operation === "search") return await this.#search(tenant);
    return await this.#read(tenant, prompt);
  }

  async #create(tenant: string, own: Belongings): Promise<void> {
    const { seq, body } = this.#text();
    const key = keyOf(this.#args.run, seq);
    const intent = this.#intent(seq, tenant, "prompt-create", { idempotencyKey: key, sha256: sha256(body) });
    const outcome = await this.#write(intent, (client) => client.createPrompt(key, { title: `traffic ${seq}`, body }));
    if (outcome.result === "ok") {
      own.add({ id: outcome.reply?.json.id as string, isDeletable: outcome.unknownRetries === 0 });
    }
  }

  async #update(tenant: string, own: Belongings, prompt: OwnedPrompt): Promise<void> {
    const { seq, body } = this.#text();
    const intent = this.#intent(seq, tenant, "prompt-update", { id: prompt.id, sha256: sha256(body) });
    const outcome = await this.#write(intent, (client) =>
      client.putPrompt(prompt.id, { title: `traffic ${seq}`, body }),
    );
    if (!isCertain(outcome)) own.drop(prompt);
  }

  async #delete(tenant: string, own: Belongings, prompt: OwnedPrompt): Promise<void> {
    const intent = this.#intent(this.#args.nextSeq(), tenant, "prompt-delete", { id: prompt.id });
    const outcome = await this.#write(intent, (client) => client.deletePrompt(prompt.id));
    if (outcome.result === "ok" || !isCertain(outcome)) own.drop(prompt);
  }

  async #read(tenant: string, { id }: OwnedPrompt): Promise<void> {
    const intent = this.#intent(this.#args.nextSeq(), tenant, "prompt-read", { id });
    await this.#look(
      intent,
      (client) => client.getPrompt(id),
      (reply) => sha256(String(reply.json?.body)),
    );
  }

  async #list(tenant: string): Promise<void> {
    const intent = this.#intent(this.#args.nextSeq(), tenant, "prompt-list", {});
    const limit = 1 + this.#args.random.below(100);
    await this.#look(intent, (client) => client.listPrompts(undefined, limit));
  }

  async #search(tenant: string): Promise<void> {
    const intent = this.#intent(this.#args.nextSeq(), tenant, "search", {});
    const words = bodyText(this.#args.random, this.#args.corpus, "").slice(0, 200).toWellFormed();
    await this.#look(intent, (client) => client.search(words));
  }

  async #openConversation(tenant: string, own: Belongings): Promise<void> {
    const seq = this.#args.nextSeq();
    const key = keyOf(this.#args.run, seq);
    const title = `Conversation ${markerOf(this.#args.run, seq)}`;
    const intent = this.#intent(seq, tenant, "conversation-create", { idempotencyKey: key, sha256: sha256(title) });
    const outcome = await this.#write(intent, (client) => client.createConversation(key, title));
    if (outcome.result === "ok") own.conversation = { id: outcome.reply?.json.id as string, messages: 0 };
  }

  async #say(tenant: string, own: Belongings, conversation: OwnedConversation): Promise<void> {
    const { seq, body } = this.#text();
    const key = keyOf(this.#args.run, seq);
    const intent = this.#intent(seq, tenant, "message-create", {
      parent: conversation.id,
      idempotencyKey: key,
      sha256: sha256(body),
    });
    const role = this.#args.random.pick(["user", "assistant"]);
    const outcome = await this.#write(intent, (client) => client.appendMessage(conversation.id, key, { role, body }));
    conversation.messages++;
    if (conversation.messages >= MESSAGES_PER_CONVERSATION || !isCertain(outcome)) own.conversation = undefined;
  }

  async #readMessages(tenant: string, { id }: OwnedConversation): Promise<void> {
    const intent = this.#intent(this.#args.nextSeq(), tenant, "message-read", { id });
    await this.#look(
      intent,
      (client) => client.listMessages(id, undefined, 200),
      (reply) => {
        const items = (reply.json?.items ?? []) as unknown as { id: string; body: string }[];
        return pageDigest(items.map((item) => ({ id: item.id, sha256: sha256(item.body) })));
      },
    );
  }

  /** The intent of a write is in the log before the first byte is sent: a killed generator leaves no unknown writes. */
  async #write(intent: TrafficIntent, send: (client: ServiceClient) => Promise<Reply>): Promise<Outcome> {
    this.#args.log.begin(intent);
    const client = this.#args.client(intent.tenant);
    const isRepeatable = intent.idempotencyKey !== undefined;
    const outcome = await attempt(() => send(client), { isRepeatable, patienceMs: this.#args.patienceMs });
    const { reply, ...logged } = outcome;
    const isCreated = isRepeatable && outcome.result === "ok";
    this.#args.log.end({ ...intent, ...logged, id: isCreated ? (reply?.json.id as string) : intent.id });
    return outcome;
  }

  async #look(
    intent: TrafficIntent,
    send: (client: ServiceClient) => Promise<Reply>,
    digest?: (reply: Reply) => string,
  ): Promise<void> {
    const client = this.#args.client(intent.tenant);
    const { reply, ...logged } = await attempt(() => send(client), {
      isRepeatable: false,
      patienceMs: this.#args.patienceMs,
    });
    const seen = logged.result === "ok" && reply !== undefined && digest ? { sha256: digest(reply) } : {};
    this.#args.log.end({ ...intent, ...logged, ...seen });
  }

  #text(): { seq: number; body: string } {
    const seq = this.#args.nextSeq();
    return { seq, body: bodyText(this.#args.random, this.#args.corpus, markerOf(this.#args.run, seq)) };
  }

  #intent(seq: number, tenant: string, op: TrafficOperation, more: Partial<TrafficIntent>): TrafficIntent {
    const { run, worker } = this.#args;
    return { run, seq, worker, tenant, op, id: null, ...more, at: new Date().toISOString() };
  }
}

/** Whether the record's state is known afterwards; the same rule by which the oracle judges. */
function isCertain({ result, refusal, status, unknownRetries }: Outcome): boolean {
  if (result === "ok") return true;
  return result === "failed" && unknownRetries === 0 && (refusal === "fenced" || (status !== null && status < 500));
}
