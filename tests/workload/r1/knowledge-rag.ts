import { openClearBodies } from "../body-store-clear.ts";
import { knowledgeRag } from "../knowledge-rag.ts";
import { runService } from "../run-service.ts";

await runService(knowledgeRag, openClearBodies);
