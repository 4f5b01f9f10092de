import type { OpenBodyStore } from "./body-store.ts";
import { type AddRoutes, buildService } from "./service.ts";
import { serviceSettings } from "./service-settings.ts";

/** Runs one service of one release until SIGTERM: requests in flight are answered, then the process ends. */
export async function runService(addRoutes: AddRoutes, openBodies: OpenBodyStore): Promise<void> {
  const settings = serviceSettings(process.env);
  const app = buildService(settings, addRoutes, openBodies);
  await app.listen({ host: settings.host ?? "127.0.0.1", port: settings.port });
  const stop = (): void => {
    // A request that hangs must not keep a fleet from leaving.
    setTimeout(() => process.exit(1), 8_000).unref();
    void app.close().then(() => process.exit(0));
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}
