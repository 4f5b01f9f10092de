import { getPinned } from "../../releases/catalog.ts";
import type { Environment } from "../../releases/environment.ts";
import type { MirrorState } from "../../releases/mirror-state.ts";
import { parsePin } from "../../releases/pin.ts";
import { newestRelease } from "../approval/reviewed-change.ts";
import type { Gate } from "../gate/gate.ts";
import type { Pins } from "../history/pinned-state.ts";
import type { Outcome } from "../outcome.ts";
import type { PinMove } from "../release-diff.ts";
import type { PropertyChange } from "../property-change.ts";
import type { WayBack } from "../way-back.ts";
import type { ChangeCounts, Risk } from "./risk.ts";
import type { WaveMigration } from "./wave-migration.ts";

/** Something that a report could not look at, and why. */
export interface Unseen {
  readonly what: string;
  readonly why: string;
}

/** A resource in a report. */
export interface ReportedChange {
  readonly op: string;
  readonly type: string;
  readonly name: string;
  readonly properties: readonly PropertyChange[];
}

/** Everything that the comment says of one environment; JSON, so that the comment can be made elsewhere. */
export interface StackReport {
  /** Raised when a field changes its meaning. */
  readonly format: 1;
  readonly environment: string;
  readonly outcome: Outcome;
  /** What stands in the way, each with its mend. */
  readonly blockers: readonly string[];
  readonly unseen: readonly Unseen[];
  /** What the stack file pins. */
  readonly pins: Pins;
  readonly moves: readonly PinMove[];
  /** Where the mirrors stand now. */
  readonly positions: readonly MirrorState[];
  readonly migrations: readonly WaveMigration[];
  /** Can I go back once this has run? Empty only when even the pins cannot be read. */
  readonly waysBack: readonly WayBack[];
  /** What the engine would do; null: nobody saw it. */
  readonly changes: readonly ReportedChange[] | null;
  readonly counts: ChangeCounts | null;
  readonly risks: readonly Risk[];
  /** Every check before the move, with what was found; empty when no wave moves forward. */
  readonly gates: readonly Gate[];
  /** What the rules say beside blockers: cleared checks, things to know. */
  readonly remarks: readonly string[];
  /** Notes, breaking changes and known issues of the releases that come in. */
  readonly releaseNotes: readonly string[];
  /** What approvers sign; null without a preview. */
  readonly digest: string | null;
  readonly approval: Approval | null;
}

/** Who must agree, and how they say so. */
export interface Approval {
  readonly minimum: number;
  readonly roles: readonly string[];
  readonly command: string;
}

/** Release notes of everything that comes in. */
export function releaseNotesOf(moves: readonly PinMove[], pins: Pins): string[] {
  const incoming = new Set(moves.flatMap(({ waves }) => waves.flatMap((wave) => pins[wave]?.now ?? [])));
  return [...incoming].flatMap((pin) => {
    const { id, notes, breakingChanges, knownIssues } = getPinned(parsePin(pin));
    return [
      ...notes.map((note) => `${id}: ${note}`),
      ...breakingChanges.map(({ api, removed, mend }) => `${id} breaks API ${api} ${removed}: ${mend}`),
      ...knownIssues.map(({ text }) => `${id}, known issue: ${text}`),
    ];
  });
}

/** Rows and tenants that an update moves: what an approval is given for. */
export interface ChangeSize {
  readonly rows: number;
  readonly tenants: number;
}

export function sizeOf(migrations: readonly WaveMigration[]): ChangeSize {
  const moving = migrations
    .flatMap(({ mirrors }) => mirrors)
    .filter(({ step, isFinalized }) => step !== "nothing" || isFinalized);
  return {
    rows: moving.reduce((sum, { rows }) => sum + rows, 0),
    tenants: migrations.reduce((sum, wave) => sum + wave.moving, 0),
  };
}

/** The quorum that the stack file asks of this change, with the command of those who agree. */
export function approvalOf(
  { name, approvals, pins }: Environment,
  moves: readonly PinMove[],
  finalizes: boolean,
  digest: string | null,
  size: ChangeSize,
): Approval | null {
  const asked = finalizes ? approvals.finalize : approvals.promotion;
  if ((moves.length === 0 && !finalizes) || digest === null) return null;
  const { minimum, roles } = asked;
  return { minimum, roles, command: approveCommand(newestRelease(pins).id, name, digest, size, roles) };
}

/** What an approver types. */
export function approveCommand(
  release: string,
  environment: string,
  digest: string,
  { rows, tenants }: ChangeSize,
  roles: readonly string[],
): string {
  const role = roles.length === 1 ? roles[0] : "<role>";
  return `coordinator approve ${release} --env ${environment} --digest ${digest} --rows ${rows} --tenants ${tenants} --role ${role} --key <file>`;
}
