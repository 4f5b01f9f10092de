import type { MirrorDefinition } from "./mirror/definition.ts";

/**
 * R3: embeddings of chunks, from pgvector to Milvus. PostgreSQL stays the registrar: the sink's table says which version of
 * which vector Milvus has to hold. Names here are identities: in the ledger, and in Milvus.
 */
export const vectorStore: MirrorDefinition = {
  name: "vector-store",
  collection: {
    name: "chunk_vectors",
    dimension: 64,
    metric: "COSINE",
    index: { type: "HNSW", M: 16, efConstruction: 200 },
  },
  pairs: [
    {
      source: "chunk_embeddings",
      sink: "chunk_vectors",
      key: "chunk_id",
      payload: "embedding",
      version: "vector_version",
      sourceIndex: { name: "chunk_embeddings_embedding_idx", method: "hnsw", operators: "vector_cosine_ops" },
      kind: "chunk.embedding",
      parent: "chunks",
      parentKey: "id",
    },
  ],
};
