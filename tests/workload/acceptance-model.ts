import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { SeededRandom } from "./seeded-random.ts";
import type { Answer, AnswerItem, Reply, ServiceClient } from "./service-client.ts";

const ALPHABET = Array.from(
  "abcdefghij klmnop\nqrstuvwxyz äöüßéñçøå 日本語中文한국어 русский עברית ١٢٣ 🚀👩‍👩‍👧 {}()<>\"'\\",
);

/**
 * Random operations on prompts and messages, compared step by step with a model in memory. Records of the run are
 * deleted at its end; conversations stay, because the contract has no way to delete them.
 * @throws AssertionError naming the step
 */
export async function runAgainstModel(client: ServiceClient, random: SeededRandom, operations: number): Promise<void> {
  const prompts = new Map<string, { title: string; body: string; key: string }>();
  const gone: string[] = [];
  const messages: string[] = [];
  const conversation = (await client.createConversation(randomUUID(), "model")).json.id;
  const others = new Set(await client.allPromptIds());

  for (let step = 0; step < operations; step++) {
    const operation = random.weighted({
      create: 25,
      repeat: 5,
      put: 20,
      remove: 15,
      get: 15,
      gone: 5,
      append: 10,
      list: 5,
    });
    const ids = [...prompts.keys()];
    const expectReply = (reply: Reply, status: number): Answer => {
      assert.equal(reply.status, status, `step ${step} ${operation}: ${reply.request} answered ${reply.status}`);
      return reply.json;
    };
    if (operation === "create" || (ids.length === 0 && operation !== "append")) {
      const prompt = { title: `model ${step}`, body: randomText(random) };
      const key = randomUUID();
      prompts.set(expectReply(await client.createPrompt(key, prompt), 201).id, { ...prompt, key });
    } else if (operation === "repeat") {
      const id = random.pick(ids);
      const { key, title, body } = prompts.get(id)!;
      const again = expectReply(await client.createPrompt(key, { title: "ignored", body: "ignored" }), 200);
      assert.deepEqual([again.id, again.title, again.body], [id, title, body], `step ${step}: another record`);
    } else if (operation === "put") {
      const id = random.pick(ids);
      const prompt = { title: `model ${step}`, body: randomText(random) };
      expectReply(await client.putPrompt(id, prompt), 200);
      prompts.set(id, { ...prompt, key: prompts.get(id)!.key });
    } else if (operation === "remove") {
      const id = random.pick(ids);
      expectReply(await client.deletePrompt(id), 204);
      prompts.delete(id);
      gone.push(id);
    } else if (operation === "get") {
      const id = random.pick(ids);
      assert.equal(expectReply(await client.getPrompt(id), 200).body, prompts.get(id)!.body, `step ${step}: body`);
    } else if (operation === "gone") {
      if (gone.length > 0) expectReply(await client.getPrompt(random.pick(gone)), 404);
    } else if (operation === "append") {
      const body = randomText(random);
      expectReply(await client.appendMessage(conversation, randomUUID(), { role: "assistant", body }), 201);
      messages.push(body);
    } else {
      const listed = await client.allPromptIds(random.below(199) + 1);
      const own = new Set(listed.filter((id) => !others.has(id)));
      for (const id of prompts.keys()) assert.ok(own.has(id), `step ${step}: prompt ${id} is on no page`);
      for (const id of gone) assert.ok(!own.has(id), `step ${step}: deleted prompt ${id} is listed`);
    }
  }

  for (const [id, prompt] of prompts) {
    const { status, json } = await client.getPrompt(id);
    assert.deepEqual([status, json.title, json.body], [200, prompt.title, prompt.body], `prompt ${id} at the end`);
    assert.equal((await client.deletePrompt(id)).status, 204);
  }
  assert.deepEqual(await allMessages(client, conversation), messages, "messages at the end");
}

async function allMessages(client: ServiceClient, conversation: string): Promise<string[]> {
  const bodies: string[] = [];
  for (let after: string | undefined; ;) {
    const { json } = await client.listMessages(conversation, after, 7);
    bodies.push(...json.items.map((item: AnswerItem) => item.body));
    if (json.next === null) return bodies;
    after = json.next;
  }
}

function randomText(random: SeededRandom): string {
  // Mostly short, sometimes long enough for several chunks and for out-of-line storage.
  const length = random.next() < 0.05 ? random.below(20_000) : random.below(400);
  return Array.from({ length }, () => random.pick(ALPHABET)).join("");
}
