import { openClearBodies } from "../body-store-clear.ts";
import { observability } from "../observability.ts";
import { runService } from "../run-service.ts";

await runService(observability, openClearBodies);
