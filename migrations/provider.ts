import type { MigrationNode, NodeOutcome } from "./nodes/node.ts";
import { Update } from "./nodes/update.ts";

/** How an input arrives in preview when its value is not known yet (one of Pulumi's magic UUIDs, also nested). */
const UNKNOWN =
  /^(04da6b54-80e4-46f7-96ec-b56ff0331ba9|1c4a061d-8072-4f0a-a4cb-0ff528b18fe7|3eeb2bf0-c639-47a8-9e75-3b44932eb421|6a19a0b0-7e62-4c92-b797-7f8e31da9cc2|030794c1-ac77-496b-92df-f27374a8bd58|e48ece36-62e2-4504-bad9-02848725956a|dd056dcd-154b-4c76-9bd3-c8f88648b5ff)$/;

type Json = Record<string, unknown> & { kind?: string };

const nodes: Record<string, () => Promise<MigrationNode<never>>> = {
  guard: async () => (await import("./nodes/guard-node.ts")).guardNode,
  tenants: async () => (await import("./nodes/tenants-node.ts")).tenantsNode,
  smoke: async () => (await import("./nodes/smoke-node.ts")).smokeNode,
  traffic: async () => (await import("./nodes/traffic-node.ts")).trafficNode,
  flags: async () => (await import("./nodes/flags-node.ts")).flagsNode,
  prepare: async () => (await import("./nodes/prepare-node.ts")).prepareNode,
  cutover: async () => (await import("./nodes/cutover-node.ts")).cutoverNode,
  finalize: async () => (await import("./nodes/finalize-node.ts")).finalizeNode,
};

async function nodeOf(inputs: Json): Promise<MigrationNode<Json>> {
  const load = nodes[String(inputs.kind)];
  if (load === undefined)
    throw new Error(
      `migration node of kind "${String(inputs.kind)}": allowed are ${Object.keys(nodes).join(", ")}; the state was written by a newer program: check that program out and run it`,
    );
  return await load();
}

function hasUnknown(value: unknown): boolean {
  if (typeof value === "string") return UNKNOWN.test(value);
  if (Array.isArray(value)) return value.some(hasUnknown);
  if (value !== null && typeof value === "object") return Object.values(value).some(hasUnknown);
  return false;
}

/** The inputs without what Pulumi adds to them. */
function plain(inputs: Json): Json {
  return Object.fromEntries(Object.entries(inputs).filter(([key]) => !key.startsWith("__")));
}

function stable(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** Refuses, in preview and before each run, what the registry says must not happen. */
export async function check(
  olds: Json,
  news: Json,
): Promise<{ inputs: Json; failures: { property: string; reason: string }[] }> {
  const inputs = plain(news);
  if (hasUnknown(inputs)) return { inputs: news, failures: [] };
  const node = await nodeOf(inputs);
  return { inputs: news, failures: (await node.refusals?.(inputs, plain(olds))) ?? [] };
}

/**
 * `{}` when inputs differ (the engine prints a precise diff), `changes: true` when only the ledger differs from what the
 * inputs want, `changes: false` otherwise - also when nothing but the provider's text differs. Never replaces.
 */
export async function diff(_id: string, olds: Json, news: Json): Promise<{ changes?: boolean }> {
  const inputs = plain(news);
  const before = Object.fromEntries(Object.keys(inputs).map((key) => [key, olds[key]]));
  const gone = Object.keys(olds).some((key) => !key.startsWith("__") && !(key in inputs) && !isOutcome(key));
  if (gone || stable(before) !== stable(inputs)) return {};
  const node = await nodeOf(inputs);
  if (olds["status"] !== "done") return { changes: true };
  return { changes: (await node.isUnfinished?.(inputs)) ?? false };
}

function isOutcome(key: string): boolean {
  return key === "status" || key === "summary" || key === "epoch";
}

/** The one that this process was started for. */
const thisUpdate = new Update(Date.now() - process.uptime() * 1000);

async function run(news: Json): Promise<{ id: string; outs: Json }> {
  const inputs = plain(news);
  const node = await nodeOf(inputs);
  const { openResourceRow } = await import("./resource-row.ts");
  const outcome: NodeOutcome = await node.run(inputs, openResourceRow(news["__urn"]), thisUpdate);
  // One `undefined` in the outputs would fail the step after its side effect: the round trip drops it here.
  return { id: node.id(inputs), outs: JSON.parse(JSON.stringify({ ...inputs, ...outcome })) as Json };
}

export async function create(inputs: Json): Promise<{ id: string; outs: Json }> {
  return run(inputs);
}

export async function update(_id: string, _olds: Json, news: Json): Promise<{ outs: Json }> {
  return { outs: (await run(news)).outs };
}

/** A refresh never forgets a migration: the truth stays in the ledger, which `diff` reads. */
export async function read(id: string, props: Json): Promise<{ id: string; props: Json }> {
  return { id, props };
}

/** Removing a node from the program never touches data. */
export async function remove(_id: string, _props: Json): Promise<void> {}
