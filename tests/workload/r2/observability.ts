import { openSealedBodies } from "../body-store-sealed.ts";
import { observability } from "../observability.ts";
import { runService } from "../run-service.ts";

await runService(observability, openSealedBodies);
