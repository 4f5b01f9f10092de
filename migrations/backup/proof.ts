import { execa } from "execa";

/** What whoever runs point-in-time recovery says of it. */
export interface RecoveryProof {
  /** Newest and oldest point in time to which the databases can be recovered. */
  readonly newestRecoverablePoint: Date;
  /** Undefined when the command does not say. */
  readonly oldestRecoverablePoint?: Date;
  /** When a recovery was last tried and found right. */
  readonly lastRestoreDrill: Date;
}

/** A recoverable point older than this is no protection for what is about to be changed: 15 minutes. */
export const longestPointAgeMs = 15 * 60_000;

/** A recovery that nobody has tried for longer is a hope: 30 days. */
export const longestDrillAgeMs = 30 * 86_400_000;

/**
 * Runs the command of `backup: {kind: pitr, proof}` with a shell and reads the last line that it prints: JSON with
 * `newestRecoverablePoint`, `lastRestoreDrill` and, if it is known, `oldestRecoverablePoint`, all ISO 8601.
 *
 * @throws {Error} the command fails, takes longer than 30 s, or prints something else
 */
export async function readProof(command: string): Promise<RecoveryProof> {
  const mend =
    'it has to exit 0 and print as its last line {"newestRecoverablePoint": "...", "lastRestoreDrill": "..."}, both ISO 8601';
  const ended = await execa(command, { shell: true, reject: false, timeout: 30_000, stdin: "ignore" });
  if (ended.failed)
    throw new Error(
      `backup.proof: the command ended with ${ended.timedOut ? "no answer within 30 s" : `exit code ${ended.exitCode ?? ended.signal}`}; ${mend}`,
    );
  let told: Record<string, unknown>;
  try {
    told = JSON.parse(ended.stdout.trimEnd().split("\n").at(-1) ?? "") as Record<string, unknown>;
  } catch {
    throw new Error(`backup.proof: the last line of the command is no JSON; ${mend}`);
  }
  const time = (name: string): Date => {
    const value = told[name];
    const at = typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value) ? new Date(value) : new Date(Number.NaN);
    if (Number.isNaN(at.getTime())) throw new Error(`backup.proof: ${name} is ${JSON.stringify(value)}; ${mend}`);
    return at;
  };
  return {
    newestRecoverablePoint: time("newestRecoverablePoint"),
    lastRestoreDrill: time("lastRestoreDrill"),
    ...(told["oldestRecoverablePoint"] === undefined ? {} : { oldestRecoverablePoint: time("oldestRecoverablePoint") }),
  };
}

/** Why a proof proves too little; empty when it is fresh. Pure. */
export function proofFaults(proof: RecoveryProof, now: Date): string[] {
  const { newestRecoverablePoint, lastRestoreDrill } = proof;
  const judge = (what: string, at: Date, limitMs: number, limit: string, mend: string): string[] => {
    const ageMs = now.getTime() - at.getTime();
    if (ageMs < -clockToleranceMs)
      return [`${what} is in the future, ${at.toISOString()}; mend the clock or the proof`];
    return ageMs <= limitMs ? [] : [`${what} is ${at.toISOString()}, allowed is at most ${limit} ago; ${mend}`];
  };
  return [
    ...judge(
      "the newest recoverable point",
      newestRecoverablePoint,
      longestPointAgeMs,
      "15 minutes",
      "look at the archiving of the write-ahead log",
    ),
    ...judge(
      "the last restore drill",
      lastRestoreDrill,
      longestDrillAgeMs,
      "30 days",
      "recover once and compare: docs/backup.md",
    ),
  ];
}

const clockToleranceMs = 60_000;
