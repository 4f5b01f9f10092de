import { z } from "zod";
import { crossFaults } from "./environment-checks.ts";
import { FaultReport, explainValue, faultsOfIssues } from "./fault.ts";
import type { Fault } from "./fault.ts";
import { imagesSchema } from "./image-list.ts";
import { findPinIn, pinForm } from "./pin.ts";
import { reference, secretReference } from "./reference.ts";
import { amount, calendarDate, closed, oneOf, releaseId, sentence, slug, text, whole, yesNo } from "./schema.ts";
import { windowText } from "./window.ts";

const pin = text(
  (value) => findPinIn(value) !== undefined,
  pinForm,
  "write the pin that coordinator lint prints for the release",
);
const external = oneOf(["external"]);

const region = closed({
  name: slug,
  postgres: closed({ kind: external, url: secretReference }),
  vault: closed({ kind: external, address: reference, token: secretReference }).optional(),
  milvus: closed({ kind: external, address: reference, token: secretReference }).optional(),
  /** Needed by runtime kubernetes. `kubeconfig`: file or content; @default KUBECONFIG, else ~/.kube/config. */
  cluster: closed({ context: sentence, kubeconfig: reference.optional() }).optional(),
});

const tag = text(/^[a-z][a-z0-9-]{0,40}$/, "a tag of small letters, digits and dashes");

/** A tenant id names a database, a Vault key and a path of the gateway. */
export const tenantId = text(
  /^[a-z][a-z0-9-]{1,40}$/,
  "a tenant id: 2 to 41 small letters, digits and dashes, a letter first",
);

/** Exactly one of four ways to choose tenants. */
const selector = closed({
  ids: z.array(tenantId, { error: "a list of tenant ids" }).min(1, { error: "at least one tenant id" }).optional(),
  tags: z.array(tag, { error: "a list of tags" }).min(1, { error: "at least one tag" }).optional(),
  /** Share of all tenants, chosen by a hash of the id: onboarding a tenant moves no other. */
  percentage: amount(0, 100, "percent").optional(),
  /** Everybody whom no wave before chose. */
  rest: z.literal(true, { error: "true" }).optional(),
});

export const waveSchema = closed({
  name: slug,
  selector,
  /** Hours that this wave serves a release before the waves behind it may move to it. @default 0 */
  soakHours: amount(0, 720, "hours").optional(),
});
/** What a wave runs, and the fleet kept beside it for the way back. `none` closes that way. */
export const wavePinsSchema = closed({
  now: pin,
  back: text((value) => value === "none" || findPinIn(value) !== undefined, `${pinForm}; or none`),
});
export const tenantSchema = closed({
  id: tenantId,
  tags: z.array(tag, { error: "a list of tags" }).default([]),
  /** Where it lives. @default the first region */
  region: slug.optional(),
});

/** Tenants with this tag may run in these regions only. */
const residencyRule = closed({
  tag,
  regions: z.array(slug, { error: "a list of regions" }).min(1, { error: "at least one region" }),
});

const approval = closed({
  /** People who must approve, each of them another one. */
  minimum: whole(0, 10, "people"),
  roles: z.array(slug, { error: "a list of roles" }).default([]),
});

const backup = z.discriminatedUnion(
  "kind",
  [
    /** Point-in-time recovery that somebody else runs; `proof`: a command that tells how fresh it is, or a reference to one. */
    closed({ kind: z.literal("pitr"), proof: sentence }),
    /** Sealed dumps of our own, before a tenant's data is changed; `to` refers to a folder. */
    closed({ kind: z.literal("dump"), to: reference, keepDays: whole(1, 365, "days") }),
  ],
  { error: "a kind: pitr with proof, or dump with to and keepDays" },
);

const trafficCarrier = z.discriminatedUnion(
  "kind",
  [
    /** Gateways that follow the registry of their region: Envoy here, Kong by its declarative configuration. */
    closed({ kind: z.literal("registry") }),
    /** An HTTPRoute in every region's cluster, for the Gateway of this name and namespace. */
    closed({ kind: z.literal("gateway-api"), gateway: slug, namespace: slug }),
  ],
  { error: "a kind: registry, or gateway-api with gateway and namespace" },
);

/** The object `release-coordinator:environment` of a stack file. */
export const environmentSchema = closed({
  name: text(/^[a-z][a-z0-9-]{1,20}$/, "2 to 21 small letters, digits and dashes, a letter first"),
  runtime: oneOf(["docker", "kubernetes"]),
  regions: z.array(region, { error: "a list of regions" }).min(1, { error: "at least one region" }),
  /** Who may live where; a tenant without any of these tags may live everywhere. */
  residency: z.array(residencyRule, { error: "a list of rules: tag, then regions" }).default([]),
  /** Needed by runtime docker. `basePort`: first of 100 free ports. */
  docker: closed({ host: reference, basePort: reference }).optional(),
  /** The image of every `<release>/<service>`, or the file that holds them; `coordinator images resolve` writes either. */
  images: imagesSchema,
  /** Where artifacts are fetched: `https://host/prefix`; plain http only on this machine. Needed by `images resolve` alone. */
  registry: closed({
    url: reference,
    username: reference.optional(),
    password: secretReference.optional(),
  }).optional(),
  gateway: closed({ url: reference }),
  flags: closed({ file: reference }),
  /** Prometheus, or what answers its HTTP API; asked by gates with a query. */
  metrics: closed({ url: reference }).optional(),
  /** Who splits requests that belong to no tenant while a release comes in steps; absent: nobody, and no release is held up. */
  traffic: trafficCarrier.optional(),
  /** Stateful parts that are rendered whatever is pinned. */
  present: closed({ vault: yesNo, milvus: yesNo }),
  /** Parts and waves that lose their protection, so that they can leave the program; written by `coordinator decommission`. */
  leaving: z.array(slug, { error: "a list of parts and waves" }).default([]),
  /** In the order in which they move. */
  waves: z.array(waveSchema, { error: "a list of waves" }).min(1, { error: "at least one wave" }),
  pins: z.record(z.string(), wavePinsSchema, { error: "an object: wave name, then now and back" }),
  /** Mirrors to take to their end position, by wave: after it there is no instant way back. */
  finalize: z
    .record(z.string(), z.array(slug, { error: "a list of mirrors" }), { error: "an object: wave name, then mirrors" })
    .default({}),
  /** Seed tenants, onboarded by the update. */
  tenants: z.array(tenantSchema, { error: "a list of tenants" }).default([]),
  /** When changes may start; none = always. A rollback never waits for one. */
  windows: z.array(windowText, { error: "a list of change windows" }).default([]),
  approvals: closed({
    promotion: approval,
    finalize: approval,
    /** Who signs an item of the checklist that no command proves: so many people, each in any one of the roles. @default nobody */
    checklist: approval.default({ minimum: 0, roles: [] }),
  }).default({
    promotion: { minimum: 0, roles: [] },
    finalize: { minimum: 0, roles: [] },
    checklist: { minimum: 0, roles: [] },
  }),
  /**
   * The environment that a release passes first: its evidence must say that this very hash works there, for at least so many
   * hours. Read beside its own state, in the same backend.
   */
  upstream: closed({
    environment: text(/^[a-z][a-z0-9-]{1,20}$/, "the name of another environment"),
    soakHours: amount(0, 720, "hours").default(0),
  }).optional(),
  /** `ask`: a promotion first looks whether somebody changed the infrastructure by hand; costs a read of every resource. */
  drift: oneOf(["ask", "ignore"]).default("ignore"),
  /** Share of a wave's tenants, and their number, that may fail before the next wave is not begun; the smaller one holds. */
  failureBudget: closed({
    maxFailedPercent: amount(0, 50, "percent"),
    maxFailures: whole(0, 1000, "tenants").optional(),
  }).default({ maxFailedPercent: 0 }),
  backup: backup.optional(),
  /** Release id -> day it is planned for. */
  planned: z.record(releaseId, calendarDate, { error: "an object: release id, then date" }).default({}),
});

export type Environment = z.infer<typeof environmentSchema>;
export type Selector = z.infer<typeof selector>;
export type WavePins = z.infer<typeof wavePinsSchema>;

/** All faults of a stack's environment, of single fields and between fields; empty = sound. */
export function faultsOfEnvironment(raw: unknown, file = fileOf(raw)): Fault[] {
  const parsed = environmentSchema.safeParse(raw);
  const own = parsed.success ? [] : faultsOfIssues(parsed.error.issues, raw, file);
  return [...own, ...crossFaults(raw, file)];
}

/**
 * Parses the object `release-coordinator:environment`; defaults are filled in.
 * @throws {FaultReport} with every fault: path, value seen, what is allowed, the mend
 */
export function parseEnvironment(raw: unknown, file = fileOf(raw)): Environment {
  const faults = faultsOfEnvironment(raw, file);
  if (faults.length > 0) throw new FaultReport(`${file}, release-coordinator:environment`, faults);
  return environmentSchema.parse(raw);
}

function fileOf(raw: unknown): string {
  const name = typeof raw === "object" && raw !== null && "name" in raw ? raw.name : undefined;
  return typeof name === "string" ? `Pulumi.${name}.yaml` : `the stack file (name: ${explainValue(name)})`;
}
