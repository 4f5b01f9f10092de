import { embed, vectorLiteral } from "./embedding.ts";
import { INPUT, pageSize, storableText } from "./request-input.ts";
import type { AddRoutes } from "./service.ts";

/** Search over the chunks of a tenant's prompts, nearest by cosine first. */
export const knowledgeRag: AddRoutes = (app, { databases }) => {
  app.get<{ Params: { tenant: string }; Querystring: { q: string; limit?: string } }>(
    "/tenants/:tenant/search",
    { schema: INPUT.search },
    async ({ params, query }) => {
      const limit = pageSize(query.limit);
      const vector = vectorLiteral(embed(storableText(query.q, "q")));
      const { rows } = await databases.run(
        params.tenant,
        async (pool) =>
          await pool.query(
            `SELECT c.prompt_id, c.ordinal, c.text, 1 - (e.embedding <=> $1::vector) AS score
             FROM chunk_embeddings e JOIN chunks c ON c.id = e.chunk_id ORDER BY e.embedding <=> $1::vector LIMIT $2`,
            [vector, limit],
          ),
      );
      const items = rows.map((row) => ({
        promptId: row.prompt_id,
        ordinal: row.ordinal,
        text: row.text,
        score: row.score,
      }));
      return { items };
    },
  );
};
