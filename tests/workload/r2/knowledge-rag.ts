import { openSealedBodies } from "../body-store-sealed.ts";
import { knowledgeRag } from "../knowledge-rag.ts";
import { runService } from "../run-service.ts";

await runService(knowledgeRag, openSealedBodies);
