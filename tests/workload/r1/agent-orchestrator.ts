import { openClearBodies } from "../body-store-clear.ts";
import { agentOrchestrator } from "../agent-orchestrator.ts";
import { runService } from "../run-service.ts";

await runService(agentOrchestrator, openClearBodies);
