import { ConversationRecords, type MessageInput } from "./conversation-records.ts";
import { INPUT, pageSize, recordId, storableText } from "./request-input.ts";
import type { AddRoutes } from "./service.ts";

interface TenantParams {
  readonly tenant: string;
}
interface ConversationParams extends TenantParams {
  readonly conversation: string;
}
interface PageQuery {
  readonly after?: string;
  readonly limit?: string;
}

/** Conversations and their messages: append and read. */
export const agentOrchestrator: AddRoutes = (app, { databases, bodies }) => {
  const conversations = new ConversationRecords(databases, bodies);

  app.post<{ Params: TenantParams; Body: { title: string } }>(
    "/tenants/:tenant/conversations",
    { schema: INPUT.conversation },
    async ({ params, headers, body }, reply) => {
      const title = storableText(body.title, "title");
      const key = headers["idempotency-key"] as string | undefined;
      const { conversation, isNew } = await conversations.create(params.tenant, key, title);
      return await reply.code(isNew ? 201 : 200).send(conversation);
    },
  );
  app.get<{ Params: TenantParams; Querystring: PageQuery }>(
    "/tenants/:tenant/conversations",
    { schema: INPUT.page },
    async ({ params, query }) => {
      const limit = pageSize(query.limit);
      return page(await conversations.list(params.tenant, query.after, limit), limit);
    },
  );
  app.post<{ Params: ConversationParams; Body: MessageInput }>(
    "/tenants/:tenant/conversations/:conversation/messages",
    { schema: INPUT.message },
    async ({ params, headers, body }, reply) => {
      const id = recordId(params.conversation, "conversation");
      const input = { role: body.role, body: storableText(body.body, "body") };
      const key = headers["idempotency-key"] as string | undefined;
      const { message, isNew } = await conversations.append(params.tenant, id, key, input);
      return await reply.code(isNew ? 201 : 200).send(message);
    },
  );
  app.get<{ Params: ConversationParams; Querystring: PageQuery }>(
    "/tenants/:tenant/conversations/:conversation/messages",
    { schema: INPUT.page },
    async ({ params, query }) => {
      const limit = pageSize(query.limit);
      const id = recordId(params.conversation, "conversation");
      return page(await conversations.messages(params.tenant, id, query.after, limit), limit);
    },
  );
};

function page<T extends { readonly id: string }>(items: readonly T[], limit: number): object {
  return { items, next: items.length === limit ? items.at(-1)?.id : null };
}
