import { openSealedBodies } from "../body-store-sealed.ts";
import { agentOrchestrator } from "../agent-orchestrator.ts";
import { runService } from "../run-service.ts";

await runService(agentOrchestrator, openSealedBodies);
