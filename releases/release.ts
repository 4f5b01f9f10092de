import { z } from "zod";
import { FaultReport, faultsOfIssues } from "./fault.ts";
import type { Fault } from "./fault.ts";
import {
  amount,
  closed,
  oneOf,
  releaseId,
  semanticVersion,
  sentence,
  slug,
  text,
  versionRange,
  whole,
  yesNo,
} from "./schema.ts";
import { serviceSchema } from "./service.ts";
import { trafficSchema } from "./traffic.ts";

const revision = text(/^[0-9]{4}$/, "an Alembic revision of four digits such as 0002");
const items = z.array(closed({ id: slug, text: sentence, gate: slug.optional() }), {
  error: "a list of checklist items",
});

/** A number and the unit it is counted in. */
const limit = closed({
  compare: oneOf(["at-most", "at-least"]),
  value: z.number({ error: "a number" }),
  unit: slug,
});

/** Release: pure data; its content hash is its identity, so nothing is filled in or changed while parsing. */
export const releaseSchema = closed({
  id: releaseId,
  version: semanticVersion,
  title: sentence,
  /** What the release can run on. */
  runtimes: z.array(oneOf(["docker", "kubernetes"])).min(1, { error: "at least one of docker, kubernetes" }),
  services: z.array(serviceSchema).min(1, { error: "at least one service" }),
  vault: closed({
    isNeeded: yesNo,
    engines: z.array(oneOf(["transit", "database"])),
    authMethods: z.array(oneOf(["approle", "kubernetes"])),
    needsAuditDevice: yesNo,
  }),
  milvus: closed({ isNeeded: yesNo }),
  regions: closed({ minimum: whole(1, 50, "regions"), maximum: whole(1, 50, "regions") }),
  /** Alembic revisions; the newer release speaks for the older ones, which cannot know the future. */
  schema: closed({
    /** Reached by `prepare`, before this release takes over. */
    expandTo: revision,
    /** Reached by `finalize`, after which releases older than `oldestOn.contract` need a rebuild. */
    contractTo: revision,
    /** Oldest release that runs on each of the two revisions. */
    oldestOn: closed({ expand: releaseId, contract: releaseId }),
  }),
  /** Mirrors this release moves. Authority moves to `to`; later releases keep it there. */
  data: z.array(
    closed({
      mirror: slug,
      to: oneOf(["sink"]),
      /** The source can be rebuilt from the sink once it was dropped. */
      isRebuildable: yesNo,
      title: sentence,
    }),
  ),
  /** Every flag the release knows, with its wish; a flag it does not name is off under it. */
  flags: z.array(closed({ key: slug, isOn: yesNo, title: sentence })),
  gates: z.array(
    closed({
      id: slug,
      title: sentence,
      /** The act it stands before. */
      before: oneOf(["promotion", "cutover", "finalize", "rollback"]),
      judge: oneOf(["machine", "human"]),
      limit: limit.optional(),
      /**
       * PromQL whose one number is held to `limit`; `{release}` in it stands for the release's id. Several series: the worst
       * decides. None, or no number: a person has to look.
       */
      query: sentence.optional(),
    }),
  ),
  checklist: closed({ preRelease: items, readiness: items, testing: items, deployment: items, postRelease: items }),
  /** How requests without a tenant come to it; absent: all of them at once, when every tenant has moved. */
  traffic: trafficSchema.optional(),
  requires: closed({
    /** Releases from which a promotion may come and to which a rollback may go: direct neighbours only. */
    releases: z.array(releaseId),
    /**
     * What must be out of the way. `checked`: looked at in every environment. `open`: stands in the release itself, and no
     * environment can clear it.
     */
    blockers: z.array(closed({ id: slug, title: sentence, state: oneOf(["checked", "open"]), mend: sentence })),
    /** API versions the release before must serve, so that both can stand side by side. */
    apis: z.record(slug, versionRange),
  }),
  slos: z.array(
    closed({
      id: slug,
      title: sentence,
      objective: limit,
      windowDays: whole(1, 365, "days"),
      budgetPercent: amount(0, 100, "percent"),
    }),
  ),
  notes: z.array(sentence),
  /** An API version that is no longer served must be named here, with what its users do instead. */
  breakingChanges: z.array(closed({ api: slug, removed: versionRange, mend: sentence })),
  knownIssues: z.array(closed({ id: slug, text: sentence })),
});

export type Release = z.infer<typeof releaseSchema>;
export type Blocker = Release["requires"]["blockers"][number];
export type Gate = Release["gates"][number];

/** Faults of a release literal, all at once; empty = sound. Checks between releases are the catalog's. */
export function faultsOfRelease(literal: unknown, file: string): Fault[] {
  const parsed = releaseSchema.safeParse(literal);
  return parsed.success ? [] : faultsOfIssues(parsed.error.issues, literal, file);
}

/** @throws {FaultReport} with every fault of the literal */
export function parseRelease(literal: unknown, file: string): Release {
  const faults = faultsOfRelease(literal, file);
  if (faults.length > 0) throw new FaultReport(file, faults);
  return releaseSchema.parse(literal);
}
