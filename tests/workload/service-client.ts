/** Item of a list; which fields it has depends on the list. */
export interface AnswerItem {
  readonly id: string;
  readonly body: string;
  readonly promptId: string;
  readonly score: number;
}

/** Every field that an answer of the contract can have; which of them are there depends on the request. */
export interface Answer {
  readonly id: string;
  readonly title: string;
  readonly body: string;
  readonly items: readonly AnswerItem[];
  readonly next: string | null;
  readonly error: string;
  readonly message: string;
  readonly tenant: string;
  readonly release: string;
  readonly since: string;
}

/** One answer of a service. */
export interface Reply {
  readonly request: string;
  readonly status: number;
  readonly headers: Headers;
  /** Parsed body, an {@link Answer}; an object without fields when there is none or it is no JSON. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each caller knows which fields its request yields
  readonly json: any;
}

export interface PromptBody {
  readonly title: string;
  readonly body: string;
  readonly conversationId?: string | null;
}

type Resource = "prompts" | "conversations" | "search";

/** The service contract as a client: one attempt per call, no retry, a time limit on each. */
export class ServiceClient {
  readonly #baseUrl: string | Readonly<Record<Resource, string>>;
  readonly #tenant: string;
  readonly #timeoutMs: number;

  /** @param timeoutMs of one attempt. @default 15000 */
  constructor(baseUrl: string | Readonly<Record<Resource, string>>, tenant: string, timeoutMs = 15_000) {
    this.#baseUrl = baseUrl;
    this.#tenant = tenant;
    this.#timeoutMs = timeoutMs;
  }

  async createPrompt(key: string, prompt: PromptBody): Promise<Reply> {
    return await this.send("prompts", "POST", "", prompt, key);
  }
  async getPrompt(id: string): Promise<Reply> {
    return await this.send("prompts", "GET", `/${id}`);
  }
  async putPrompt(id: string, prompt: PromptBody): Promise<Reply> {
    return await this.send("prompts", "PUT", `/${id}`, prompt);
  }
  async deletePrompt(id: string): Promise<Reply> {
    return await this.send("prompts", "DELETE", `/${id}`);
  }
  async listPrompts(after?: string, limit = 50): Promise<Reply> {
    return await this.send("prompts", "GET", `?limit=${limit}${after === undefined ? "" : `&after=${after}`}`);
  }
  async createConversation(key: string, title: string): Promise<Reply> {
    return await this.send("conversations", "POST", "", { title }, key);
  }
  async appendMessage(conversation: string, key: string, message: { role: string; body: string }): Promise<Reply> {
    return await this.send("conversations", "POST", `/${conversation}/messages`, message, key);
  }
  async listMessages(conversation: string, after?: string, limit = 50): Promise<Reply> {
    const page = `?limit=${limit}${after === undefined ? "" : `&after=${after}`}`;
    return await this.send("conversations", "GET", `/${conversation}/messages${page}`);
  }
  async search(words: string, limit = 10): Promise<Reply> {
    return await this.send("search", "GET", `?q=${encodeURIComponent(words)}&limit=${limit}`);
  }

  /** Ids of all prompts, page by page. @throws Error when a page is refused */
  async allPromptIds(pageSize = 200): Promise<string[]> {
    const ids: string[] = [];
    for (;;) {
      const reply = await this.listPrompts(ids.at(-1), pageSize);
      if (reply.status !== 200) throw new Error(`${reply.request} answered ${reply.status}`);
      ids.push(...reply.json.items.map((item: AnswerItem) => item.id));
      if (reply.json.next === null) return ids;
    }
  }

  /** @throws Error when the connection breaks or nothing comes within the time limit: the outcome is then unknown */
  async send(resource: Resource, method: string, path: string, body?: unknown, key?: string): Promise<Reply> {
    const base = typeof this.#baseUrl === "string" ? this.#baseUrl : this.#baseUrl[resource];
    const answer = await fetch(`${base}/tenants/${this.#tenant}/${resource}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(key === undefined ? {} : { "idempotency-key": key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(this.#timeoutMs),
    });
    const text = await answer.text();
    const isJson = answer.headers.get("content-type")?.startsWith("application/json") === true;
    const request = `${method} ${resource}${path.slice(0, 80)}`;
    return {
      request,
      status: answer.status,
      headers: answer.headers,
      json: (isJson ? JSON.parse(text) : {}) as Answer,
    };
  }
}
