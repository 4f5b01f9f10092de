import type { Position } from "../../migrations/ledger/position.ts";
import type { JobKind, TenantResult } from "../../migrations/mirror/job.ts";
import type { ReleaseTarget } from "../../migrations/wave-inputs.ts";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import { getPostgresUrl, getVault } from "../servers.ts";
import type { SeededRandom } from "../workload/seeded-random.ts";
import { type Drill, type DrillCase, shuffled } from "./drill.ts";
import type { DrillTenant } from "./drill-tenant.ts";
import { type EngineBoundary, engineBoundaries } from "./engine-boundaries.ts";
import { judge } from "./judge.ts";
import { lostRegistryCases } from "./lost-registry.ts";
import { lostRewrapCases } from "./lost-rewrap.ts";
import { lostStateCases } from "./lost-state.ts";
import { PostgresProxy } from "./postgres-proxy.ts";
import { proxiedRegion } from "./proxied-region.ts";
import type { Stage } from "./stage.ts";
import { Traffic } from "./traffic.ts";
import { VaultProxy } from "./vault-proxy.ts";

/** The server has done it, and whoever asked never hears so. */
export const lostAck: Drill = {
  name: "lost-ack",
  about: "a proxy drops the answer after PostgreSQL has committed or Vault has answered, forwards and backwards",
  // The last ones run the whole of Pulumi and take their time.
  cases: (random) => [
    ...shuffled(
      [
        ...postgresLosses.map((loss) => postgresCase(loss)),
        ...vaultLosses.map((loss) => vaultCase(loss)),
        ...lostRewrapCases,
        ...lostRegistryCases,
      ],
      random,
    ),
    ...lostStateCases,
  ],
};

/** A way that a tenant goes, and the run on it that suffers. */
interface Way {
  readonly from: Position;
  readonly release: ReleaseTarget;
  readonly kind: JobKind;
}

const ways = {
  prepare: { from: "off", release: r2, kind: "prepare" },
  follow: { from: "mirroring", release: r2, kind: "prepare" },
  cutover: { from: "mirroring", release: r2, kind: "cutover" },
  retire: { from: "switched", release: r2, kind: "finalize" },
  rebuild: { from: "retired", release: r1, kind: "prepare" },
  rollback: { from: "switched", release: r1, kind: "prepare" },
  cutoverBack: { from: "switched", release: r1, kind: "cutover" },
  remove: { from: "mirroring", release: r1, kind: "finalize" },
} as const satisfies Readonly<Record<string, Way>>;

interface PostgresLoss {
  readonly what: string;
  readonly at: EngineBoundary;
  readonly nth?: number;
  readonly way: Way;
  /** Done before the run, to the tenant. */
  readonly before?: (tenant: DrillTenant) => Promise<void>;
}

const postgresLosses: readonly PostgresLoss[] = [
  { what: "the first look at the ledger", at: "plan", way: ways.rebuild },
  {
    what: "a ledger of an older program, brought up to date",
    at: "ledger",
    way: ways.prepare,
    // Without its newest mark the ledger counts as one of an older program.
    before: async ({ admin }) => {
      const marks = await admin.query<{ mark: string }>(
        String.raw`SELECT oid::regclass::text AS mark FROM pg_class WHERE relnamespace = 'rc'::regnamespace
         AND relname ~ '^ledger_\d+$' ORDER BY length(relname) DESC, relname DESC LIMIT 1`,
      );
      await admin.query(`DROP TABLE ${marks.rows[0]?.mark}`);
    },
  },
  { what: "the tenant's lock", at: "lock", way: ways.rollback },
  { what: "the takeover of the epoch", at: "takeover", way: ways.prepare },
  { what: "the takeover of the epoch", at: "takeover", way: ways.rebuild },
  { what: "the keyset of the prompts", at: "keyset", way: ways.prepare },
  { what: "the capture", at: "capture", way: ways.prepare },
  { what: "the capture", at: "capture", way: ways.rebuild },
  { what: "the first chunk", at: "chunk", way: ways.prepare },
  { what: "the second chunk", at: "chunk", nth: 2, way: ways.prepare },
  { what: "the second chunk", at: "chunk", nth: 2, way: ways.rebuild },
  { what: "a compared range", at: "verified", way: ways.prepare },
  { what: "a compared range", at: "verified", nth: 2, way: ways.rebuild },
  { what: "a drain", at: "drain", way: ways.follow },
  { what: "a drain", at: "drain", way: ways.rollback },
  { what: "the position", at: "position", way: ways.prepare },
  { what: "the position", at: "position", way: ways.rebuild },
  { what: "the cutover", at: "cutover", way: ways.cutover },
  { what: "the cutover", at: "cutover", way: ways.cutoverBack },
  { what: "the retirement", at: "position", way: ways.retire },
  { what: "the removal", at: "position", way: ways.remove },
];

interface VaultLoss {
  readonly what: string;
  readonly request: RegExp;
  readonly way: Way;
}

const vaultLosses: readonly VaultLoss[] = [
  { what: "the making of the KEK", request: /^POST \S+\/keys\//, way: ways.prepare },
  { what: "the wrapping of a keyset", request: /^POST \S+\/encrypt\//, way: ways.prepare },
  { what: "the opening of a keyset", request: /^POST \S+\/decrypt\//, way: ways.rollback },
];

function postgresCase({ what, at, nth, way, before }: PostgresLoss): DrillCase {
  return {
    title: `PostgreSQL's answer to ${what} is lost in ${nameOf(way)}`,
    async run(stage, random) {
      const tenant = await stage.tenant(way.from);
      await before?.(tenant);
      await goThrough(stage, tenant, way, random, async () => {
        await using proxy = await PostgresProxy.start(getPostgresUrl());
        const lost = heard(proxy.loseAnswer({ ...engineBoundaries[at], ...(nth === undefined ? {} : { nth }) }));
        const result = await run(tenant, way, proxiedRegion({ postgres: proxy }));
        if (!lost()) throw new Error(`the engine never got to ${at}: ${result?.reason ?? "done"}`);
        if (result?.status !== "done") assertClear(tenant, result);
      });
    },
  };
}

/** A lost answer of Vault passes: the engine asks again, and what it asked for may be done twice. */
function vaultCase({ what, request, way }: VaultLoss): DrillCase {
  return {
    title: `Vault's answer to ${what} is lost in ${nameOf(way)}`,
    async run(stage, random) {
      // A tenant that Vault has not heard of is the only one whose KEK is made.
      const isNew = way.from === "off";
      const id = `drl-${random.below(2 ** 32).toString(16)}`;
      const tenant = isNew ? await stage.tenant("off", id) : await stage.tenant(way.from);
      await goThrough(stage, tenant, way, random, async () => {
        await using proxy = await VaultProxy.start(getVault().address);
        const lost = heard(proxy.set(request, "lose"));
        const result = await run(tenant, way, proxiedRegion({ vault: proxy }));
        if (!lost()) throw new Error(`the engine never asked for ${String(request)}: ${result?.reason ?? "done"}`);
        if (result?.status !== "done")
          throw new Error(`the engine should have asked again; it ended ${result?.status}: ${result?.reason}`);
      });
    },
  };
}

/** With writers at work: everything before the run that suffers, that run, the same once more, and what follows. */
async function goThrough(
  stage: Stage,
  tenant: DrillTenant,
  way: Way,
  random: SeededRandom,
  suffer: () => Promise<void>,
): Promise<void> {
  if (way.from === "retired") await tenant.undoContract();
  const traffic = new Traffic(tenant, stage.base, random);
  await traffic.burst(6); // something to drain
  traffic.start();
  try {
    await suffer();
    await tenant.move(way.kind, way.release);
    if (way.kind === "prepare") await tenant.move("cutover", way.release);
  } finally {
    await traffic.stop();
  }
  await tenant.contract();
  const isForwards = way.release === r2;
  const end = way.kind === "finalize" ? (isForwards ? "retired" : "off") : isForwards ? "switched" : "mirroring";
  await judge(tenant, traffic.log, end);
}

function run(
  tenant: DrillTenant,
  way: Way,
  region: ReturnType<typeof proxiedRegion>,
): Promise<TenantResult | undefined> {
  return tenant.start(way.kind, way.release, undefined, { region }).ended();
}

/** @throws {Error} it did not fail, or its reason lacks the tenant, the server or what to do */
function assertClear({ tenant }: DrillTenant, result: TenantResult | undefined): void {
  const reason = result?.reason ?? "";
  const isClear =
    reason.startsWith(`tenant ${tenant}: PostgreSQL at 127.0.0.1:`) && /run the update again/.test(reason);
  if (result?.status !== "failed" || !isClear) throw new Error(`the run ended ${result?.status}: ${reason}`);
}

/** Whether a promise has been kept by now. */
function heard(promise: Promise<void>): () => boolean {
  let isKept = false;
  void promise.then(() => (isKept = true));
  return () => isKept;
}

function nameOf({ from, release, kind }: Way): string {
  return `${kind} to ${release.id} from ${from}`;
}
