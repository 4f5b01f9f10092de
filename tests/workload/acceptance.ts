import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type Answer, type Reply, ServiceClient } from "./service-client.ts";
import { SeededRandom } from "./seeded-random.ts";
import { runAgainstModel } from "./acceptance-model.ts";

export interface AcceptanceArgs {
  /** Where the tenant is reached: the gateway, or one URL per resource when there is none. */
  readonly baseUrl: string | { readonly prompts: string; readonly conversations: string; readonly search: string };
  readonly tenant: string;
  /** Random operations against the model after the named checks. @default 1000 */
  readonly operations?: number;
  /** Seed of the random operations; printed with a failure. @default 1 */
  readonly seed?: number;
}

export interface AcceptanceReport {
  readonly checks: readonly { readonly name: string; readonly failure?: string }[];
  readonly isAccepted: boolean;
}

type Check = (client: ServiceClient) => Promise<void>;

/** Runs the service contract against a tenant of any release. Leaves no record of its own behind except conversations. */
export async function runAcceptance(args: AcceptanceArgs): Promise<AcceptanceReport> {
  const client = new ServiceClient(args.baseUrl, args.tenant);
  const random = new SeededRandom(args.seed ?? 1);
  const operations = args.operations ?? 1_000;
  const all: Record<string, Check> = {
    ...CHECKS,
    [`${operations} random operations agree with a model (seed ${args.seed ?? 1})`]: async () =>
      await runAgainstModel(client, random, operations),
  };
  const checks: { name: string; failure?: string }[] = [];
  for (const [name, check] of Object.entries(all)) {
    try {
      await check(client);
      checks.push({ name });
    } catch (error) {
      checks.push({ name, failure: (error as Error).message });
    }
  }
  return { checks, isAccepted: checks.every((check) => check.failure === undefined) };
}

const TEXTS = ["", "a", "naïve café 日本語 🚀", "line\r\nline\ttab", "\u0001ÿ".repeat(40), "x".repeat(65_536)];

const CHECKS: Readonly<Record<string, Check>> = {
  "a prompt comes back as it was sent, whatever its text": async (client) => {
    for (const body of TEXTS) {
      const made = expectStatus(await client.createPrompt(randomUUID(), { title: "acceptance", body }), 201);
      const got = expectStatus(await client.getPrompt(made.id), 200);
      assert.equal(got.body, body);
      assert.equal(got.title, "acceptance");
      expectStatus(await client.deletePrompt(made.id), 204);
    }
  },
  "the same Idempotency-Key makes one record": async (client) => {
    const key = randomUUID();
    const answers = await Promise.all([1, 2, 3].map(() => client.createPrompt(key, { title: "once", body: "once" })));
    const ids = new Set(answers.map((answer) => answer.json.id));
    assert.equal(ids.size, 1, "three requests with one key made several records");
    assert.equal(answers.filter((answer) => answer.status === 201).length, 1);
    expectStatus(await client.deletePrompt([...ids][0] as string), 204);
  },
  "PUT replaces the whole prompt": async (client) => {
    const made = expectStatus(await client.createPrompt(randomUUID(), { title: "before", body: "before" }), 201);
    expectStatus(await client.putPrompt(made.id, { title: "after", body: "after" }), 200);
    const got = expectStatus(await client.getPrompt(made.id), 200);
    assert.deepEqual([got.title, got.body], ["after", "after"]);
    expectStatus(await client.deletePrompt(made.id), 204);
  },
  "what does not exist is 404": async (client) => {
    const id = randomUUID();
    expectStatus(await client.getPrompt(id), 404);
    expectStatus(await client.putPrompt(id, { title: "t", body: "b" }), 404);
    expectStatus(await client.deletePrompt(id), 404);
    expectStatus(await client.getPrompt("not-a-uuid"), 404);
    expectStatus(await client.appendMessage(id, randomUUID(), { role: "user", body: "b" }), 404);
    expectStatus(await client.listMessages(id), 404);
  },
  "a malformed request is 400": async (client) => {
    const faults = [
      {},
      { title: "t" },
      { title: 1, body: "b" },
      { title: "", body: "b" },
      { title: "t", body: "b", x: 1 },
    ];
    for (const fault of [...faults, { title: "t", body: "nul \0" }, { title: "t", body: "half \ud83d" }]) {
      expectStatus(await client.send("prompts", "POST", "", fault), 400);
    }
    expectStatus(await client.send("prompts", "GET", "?limit=0"), 400);
    expectStatus(await client.send("prompts", "GET", "?after=x"), 400);
    expectStatus(await client.send("search", "GET", ""), 400);
  },
  "a request above 1 MiB is 413": async (client) => {
    expectStatus(await client.createPrompt(randomUUID(), { title: "t", body: "x".repeat(1_100_000) }), 413);
  },
  "a reference to a conversation that does not exist is 409": async (client) => {
    const input = { title: "t", body: "b", conversationId: randomUUID() };
    expectStatus(await client.createPrompt(randomUUID(), input), 409);
  },
  "a list is paged by key and misses nothing": async (client) => {
    const made: string[] = [];
    for (let index = 0; index < 5; index++) {
      made.push(expectStatus(await client.createPrompt(randomUUID(), { title: `page ${index}`, body: "b" }), 201).id);
    }
    const seen = await client.allPromptIds(2);
    assert.deepEqual([...seen].sort(), seen, "ids are not in order");
    assert.equal(new Set(seen).size, seen.length, "an id is on two pages");
    for (const id of made) assert.ok(seen.includes(id), `prompt ${id} is on no page`);
    for (const id of made) expectStatus(await client.deletePrompt(id), 204);
  },
  "messages come back in the order of arrival": async (client) => {
    const key = randomUUID();
    const conversation = expectStatus(await client.createConversation(key, "acceptance"), 201);
    assert.equal(expectStatus(await client.createConversation(key, "acceptance"), 200).id, conversation.id);
    for (const body of TEXTS) {
      const messageKey = randomUUID();
      const first = expectStatus(await client.appendMessage(conversation.id, messageKey, { role: "user", body }), 201);
      const again = expectStatus(await client.appendMessage(conversation.id, messageKey, { role: "user", body }), 200);
      assert.equal(again.id, first.id);
    }
    const listed = expectStatus(await client.listMessages(conversation.id), 200).items;
    assert.deepEqual(
      listed.map((message) => message.body),
      TEXTS,
    );
  },
  "search finds the prompt that says the words, and not after its deletion": async (client) => {
    const words = `zanzibar quokka ${randomUUID().slice(0, 8)} heliotrope`;
    const made = expectStatus(await client.createPrompt(randomUUID(), { title: "search", body: words }), 201);
    const found = expectStatus(await client.search(words), 200).items;
    assert.equal(found[0]?.promptId, made.id);
    assert.ok((found[0]?.score ?? 0) > 0.99, `score of the same text is ${found[0]?.score}`);
    expectStatus(await client.putPrompt(made.id, { title: "search", body: "other words entirely" }), 200);
    expectStatus(await client.deletePrompt(made.id), 204);
    const left = expectStatus(await client.search(words), 200).items;
    assert.ok(!left.some((item) => item.promptId === made.id), "a deleted prompt is found");
  },
};

function expectStatus(reply: Reply, status: number): Answer {
  assert.equal(
    reply.status,
    status,
    `${reply.request} answered ${reply.status} ${JSON.stringify(reply.json)?.slice(0, 200)}`,
  );
  return reply.json;
}
