import { openSealedBodies } from "../body-store-sealed.ts";
import { platformApi } from "../platform-api.ts";
import { runService } from "../run-service.ts";

await runService(platformApi, openSealedBodies);
