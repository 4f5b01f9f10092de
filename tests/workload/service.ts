import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import pg from "pg";
import type { BodyStore, OpenBodyStore } from "./body-store.ts";
import { FencedError } from "./fence.ts";
import { ReplyError } from "./reply-error.ts";
import { REQUEST_LIMIT_BYTES } from "./request-input.ts";
import { type Outcome, RequestCounts } from "./request-counts.ts";
import type { ServiceSettings } from "./service-settings.ts";
import { TenantDatabases } from "./tenant-databases.ts";
import { isTenantId } from "./tenant-id.ts";

/** What the routes of one service are given. */
export interface ServiceContext {
  readonly settings: ServiceSettings;
  readonly databases: TenantDatabases;
  readonly bodies: BodyStore;
  readonly counts: RequestCounts;
}

/** Adds the routes of one service. */
export type AddRoutes = (app: FastifyInstance, context: ServiceContext) => void;

/**
 * Read to the end and then refused: an answer in the middle of a request looks like a broken connection to a gateway,
 * which would say 503 in our place. Only what is larger still is cut off.
 */
const READ_LIMIT_BYTES = 16 * REQUEST_LIMIT_BYTES;

/** A service that is not listening yet: health, readiness, metrics, contract errors, and its own routes. */
export function buildService(
  settings: ServiceSettings,
  addRoutes: AddRoutes,
  openBodies: OpenBodyStore,
): FastifyInstance {
  const app = fastify({
    bodyLimit: READ_LIMIT_BYTES,
    // A typo in a request is an error, not something to be dropped or bent into shape.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
    forceCloseConnections: "idle",
  });
  const parseJson = app.getDefaultJsonParser("error", "error");
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, text: string, done) => {
    if (Buffer.byteLength(text) > REQUEST_LIMIT_BYTES) done(tooLarge());
    else void parseJson(request, text, done);
  });
  const databases = new TenantDatabases({ databaseUrl: settings.databaseUrl, release: settings.release });
  const registry = new pg.Pool({ connectionString: settings.registryUrl, max: 1, connectionTimeoutMillis: 2_000 });
  registry.on("error", () => undefined);
  const bodies = openBodies(settings, databases);
  const counts = new RequestCounts(settings.service, settings.release);
  app.addHook("onClose", async () => {
    await Promise.all([databases.close(), registry.end()]);
  });
  app.addHook("onResponse", async (request, reply) => {
    const { tenant } = request.params as { tenant?: string };
    if (tenant === undefined || !isTenantId(tenant)) return;
    counts.record(tenant, outcome(reply), reply.elapsedTime / 1_000);
  });
  app.setErrorHandler(async (error, _request, reply) => await answer(error, reply));
  app.setNotFoundHandler(async (request, reply) => {
    await answer(new ReplyError("not-found", `no route ${request.method} ${request.url.slice(0, 100)}`), reply);
  });

  const name = { service: settings.service, release: settings.release, pin: settings.pin };
  app.get("/healthz", async () => ({ status: "ok", ...name }));
  app.get("/readyz", async (_request, reply) => {
    try {
      await bodies.ready();
      const { rows } = await registry.query("SELECT tenant, release FROM registry.route ORDER BY tenant");
      const served = rows.filter((row) => row.release === settings.release).map((row) => row.tenant);
      // A service of a release that a tenant is not on says so here, before anybody sends it a request.
      const elsewhere = rows.filter((row) => row.release !== settings.release);
      return { ready: true, ...name, tenants: served, elsewhere };
    } catch (error) {
      return await reply.code(503).send({ ready: false, ...name, reason: (error as Error).message });
    }
  });
  if (settings.service !== "observability") {
    app.get("/metrics", async (_request, reply) => reply.type("text/plain; version=0.0.4").send(counts.render()));
  }
  addRoutes(app, { settings, databases, bodies, counts });
  return app;
}

async function answer(error: unknown, reply: FastifyReply): Promise<void> {
  const refusal = asRefusal(error);
  if (refusal.status === 503) reply.header("Retry-After", "1");
  if (refusal instanceof FencedError) {
    const { tenant, release, pin, since } = refusal.whereabouts;
    reply.header("X-Release", pin);
    await reply.code(503).send({ error: "fenced", message: refusal.message, tenant, release, since });
    return;
  }
  await reply.code(refusal.status).send({ error: refusal.refusal, message: refusal.message });
}

function tooLarge(): ReplyError {
  return new ReplyError("too-large", `a request may have ${REQUEST_LIMIT_BYTES} bytes`);
}

function asRefusal(error: unknown): ReplyError {
  if (error instanceof ReplyError) return error;
  const { statusCode, code, message } = error as { statusCode?: number; code?: string; message?: string };
  if (statusCode === 413) return tooLarge();
  if (statusCode !== undefined && statusCode < 500) return new ReplyError("invalid", message ?? "malformed request");
  // Never the message of an unknown error: it may quote a row.
  process.stderr.write(`${JSON.stringify({ level: "error", code, kind: (error as Error).name })}\n`);
  return new ReplyError("internal", "unexpected failure");
}

function outcome(reply: FastifyReply): Outcome {
  if (reply.statusCode < 400) return "ok";
  if (reply.statusCode < 500) return "refused";
  return reply.getHeader("x-release") === undefined ? "failed" : "fenced";
}
