import type { TenantOverview } from "../../migrations/registry/projection.ts";
import { findWave } from "../../migrations/registry/selector.ts";
import { allReleases, findRelease, sinkMirrorsOf } from "../../releases/catalog.ts";
import type { Environment } from "../../releases/environment.ts";
import { isSinkAuthoritative } from "../../releases/mirror-state.ts";
import { parsePin } from "../../releases/pin.ts";
import { rolloutOf } from "../../releases/rollout.ts";
import type { Subject } from "./subject.ts";
import { readTenantLedgers } from "./tenant-ledger.ts";
import type { TenantLedger } from "./tenant-ledger.ts";

/** Who still needs what is to leave. */
export interface Needs {
  /** Empty: nobody. */
  readonly reasons: readonly string[];
  /** Tenants that keep keysets, which open nothing in their databases any more, but do in backups made before. */
  readonly keepers: readonly TenantOverview[];
  /** Probe tenants of releases that no wave pins, born with what is to leave: they go along. */
  readonly spareProbes: readonly TenantOverview[];
}

/** What the registry says and what every ledger says must both allow it. Reads only. */
export async function findNeeds(
  subject: Subject,
  environment: Environment,
  without: Environment,
  tenants: readonly TenantOverview[],
): Promise<Needs> {
  if (subject.kind === "wave") return needsOfWave(subject.name, environment, without, tenants);
  const spareProbes = subject.kind === "part" ? findSpareProbes(subject.name, environment, tenants) : [];
  const asked = tenants.filter((tenant) => !spareProbes.includes(tenant));
  const unfinished = asked.filter(({ status }) => status === "onboarding");
  const ready = asked.filter(({ status }) => status !== "onboarding");
  const ledgers = await readTenantLedgers(environment, ready);
  const onboarding =
    unfinished.length === 0 ? [] : [`still being onboarded: ${some(unfinished)}; finish it with pulumi up`];
  if (subject.kind === "fleet") {
    return {
      reasons: [...onboarding, ...needsOfFleet(subject.name, environment, ready, ledgers)],
      keepers: [],
      spareProbes,
    };
  }
  const mirrors = new Set(mirrorsOn(subject.name));
  const holders = new Set(ledgers.filter(({ keysets }) => Object.keys(keysets).length > 0).map(({ tenant }) => tenant));
  return {
    reasons: [...onboarding, ...mirrorReasons(ready, ledgers, mirrors)],
    keepers: subject.name === "vault" ? ready.filter(({ id }) => holders.has(id)) : [],
    spareProbes,
  };
}

/** Nobody matches the wave, and nobody changes to another wave when it is gone: percentages are slices of one line. */
function needsOfWave(
  wave: string,
  { waves }: Environment,
  without: Environment,
  tenants: readonly TenantOverview[],
): Needs {
  const homes = tenants
    .filter(({ isProbe }) => !isProbe)
    .map((tenant) => {
      const active = { ...tenant, status: "active" } as const;
      return { tenant, before: findWave(waves, active)?.name, after: findWave(without.waves, active)?.name };
    });
  const members = homes.filter(({ before }) => before === wave).map(({ tenant }) => tenant);
  const moved = homes.filter(({ before, after }) => before !== wave && before !== after);
  const [first] = moved;
  return {
    reasons: [
      ...(members.length === 0
        ? []
        : [`wave ${wave} has ${some(members)}; change selectors so that another wave takes them, then pulumi up`]),
      ...(first === undefined
        ? []
        : [
            `without ${wave} ${moved.length} tenants fall into another wave, e.g. ${first.tenant.id} into ${first.after} ` +
              `instead of ${first.before}: percentages are shares in the order of the waves; name those tenants by ids or tags first`,
          ]),
    ],
    keepers: [],
    spareProbes: [],
  };
}

/** Everybody runs a later release, with the data where that release wants it. */
function needsOfFleet(
  release: string,
  { waves, pins }: Environment,
  tenants: readonly TenantOverview[],
  ledgers: readonly TenantLedger[],
): string[] {
  const pinned = waves.map(({ name }) => name).filter((wave) => parsePin(pins[wave]?.now ?? "").id === release);
  const real = tenants.filter(({ isProbe }) => !isProbe);
  const own = new Map(ledgers.map((ledger) => [ledger.tenant, ledger]));
  const routed = real.filter((tenant) => tenant.release === release);
  const owned = real.filter(({ id }) => own.get(id)?.release === release);
  const behind = real.filter((tenant) => {
    const now = pins[findWave(waves, { ...tenant, status: "active" })?.name ?? ""]?.now;
    const sinks = now === undefined ? [] : sinkMirrorsOf(parsePin(now).id);
    return sinks.some((mirror) => !isSinkAuthoritative(own.get(tenant.id)?.positions[mirror] ?? "off"));
  });
  return [
    ...(pinned.length === 0 ? [] : [`${pinned.join(", ")} ${pinned.length === 1 ? "pins" : "pin"} ${release} as now`]),
    ...(routed.length === 0 ? [] : [`the registry routes to ${release}: ${some(routed)}; finish the promotion first`]),
    ...(owned.length === 0 ? [] : [`on ${release} by their own ledgers: ${some(owned)}; finish the promotion first`]),
    ...(behind.length === 0 ? [] : [`data not moved yet: ${some(behind)}; coordinator promote goes on`]),
  ];
}

function mirrorReasons(
  tenants: readonly TenantOverview[],
  ledgers: readonly TenantLedger[],
  mirrors: ReadonlySet<string>,
): string[] {
  const mend =
    "go back to a release without it, name it under finalize in the stack file, and pulumi up takes it to off";
  return [...mirrors].flatMap((mirror) => {
    const projected = tenants.filter(({ states }) =>
      states.some((state) => state.mirror === mirror && state.position !== "off"),
    );
    const exact = ledgers.filter(({ positions }) => (positions[mirror] ?? "off") !== "off");
    const own = exact.map(({ tenant }) => ({ id: tenant }));
    return [
      ...(projected.length === 0
        ? []
        : [`by the registry's projection ${mirror} is not off: ${some(projected)}; ${mend}`]),
      ...(own.length === 0 ? [] : [`by their own ledgers ${mirror} is not off: ${some(own)}; ${mend}`]),
    ];
  });
}

/** Mirrors of all releases that need a part, those that they inherit from older ones too. */
function mirrorsOn(part: "vault" | "milvus"): readonly string[] {
  const releases = allReleases().filter((release) => release[part].isNeeded);
  return releases.flatMap((release) =>
    part === "vault" ? sinkMirrorsOf(release.id) : release.data.map(({ mirror }) => mirror),
  );
}

function findSpareProbes(part: "vault" | "milvus", environment: Environment, tenants: readonly TenantOverview[]) {
  const pinned = rolloutOf(environment).fleets.map(({ release }) => release.id);
  return tenants.filter(({ isProbe, bornRelease }) => {
    const needsPart = findRelease(bornRelease)?.[part].isNeeded ?? false;
    return isProbe && needsPart && !pinned.includes(bornRelease);
  });
}

/** `3 tenants (acme, borealis, cobalt)`. */
function some(tenants: readonly { readonly id: string }[]): string {
  const names = tenants.slice(0, 5).map(({ id }) => id);
  const more = tenants.length > names.length ? ", .." : "";
  return `${tenants.length} ${tenants.length === 1 ? "tenant" : "tenants"} (${names.join(", ")}${more})`;
}
