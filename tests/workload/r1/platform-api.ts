import { openClearBodies } from "../body-store-clear.ts";
import { platformApi } from "../platform-api.ts";
import { runService } from "../run-service.ts";

await runService(platformApi, openClearBodies);
