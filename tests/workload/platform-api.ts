import { PromptRecords, type PromptInput } from "./prompt-records.ts";
import { INPUT, pageSize, recordId, storableText } from "./request-input.ts";
import type { AddRoutes } from "./service.ts";

interface TenantParams {
  readonly tenant: string;
}
interface PromptParams extends TenantParams {
  readonly id: string;
}

/** Prompts: create, read, replace, delete, list. */
export const platformApi: AddRoutes = (app, { databases, bodies }) => {
  const prompts = new PromptRecords(databases, bodies);

  app.post<{ Params: TenantParams; Body: PromptInput }>(
    "/tenants/:tenant/prompts",
    { schema: INPUT.prompt },
    async ({ params, headers, body }, reply) => {
      const { prompt, isNew } = await prompts.create(
        params.tenant,
        headers["idempotency-key"] as string | undefined,
        input(body),
      );
      return await reply.code(isNew ? 201 : 200).send(prompt);
    },
  );
  app.get<{ Params: TenantParams; Querystring: { after?: string; limit?: string } }>(
    "/tenants/:tenant/prompts",
    { schema: INPUT.page },
    async ({ params, query }) => {
      const limit = pageSize(query.limit);
      const items = await prompts.list(params.tenant, query.after, limit);
      return { items, next: items.length === limit ? items.at(-1)?.id : null };
    },
  );
  app.get<{ Params: PromptParams }>("/tenants/:tenant/prompts/:id", async ({ params }) => {
    return await prompts.get(params.tenant, recordId(params.id, "prompt"));
  });
  app.put<{ Params: PromptParams; Body: PromptInput }>(
    "/tenants/:tenant/prompts/:id",
    { schema: INPUT.prompt },
    async ({ params, body }) => await prompts.replace(params.tenant, recordId(params.id, "prompt"), input(body)),
  );
  app.delete<{ Params: PromptParams }>("/tenants/:tenant/prompts/:id", async ({ params }, reply) => {
    await prompts.remove(params.tenant, recordId(params.id, "prompt"));
    return await reply.code(204).send();
  });
};

function input(body: Partial<PromptInput> & { title: string; body: string }): PromptInput {
  return {
    title: storableText(body.title, "title"),
    body: storableText(body.body, "body"),
    conversationId: body.conversationId ?? null,
  };
}
