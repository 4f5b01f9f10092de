/** Where a tour runs: an embedded platform whose servers are up. */
export interface TourContext {
  /** The platform's folder (`.local`, or that of a test platform). */
  readonly home: string;
  readonly repository: string;
  /** Environment of every command: the platform's variables on top of this process's. */
  readonly environment: Readonly<Record<string, string>>;
  /** The stack file that the tour moves; a copy of `Pulumi.dev.yaml`, so that the tracked file never changes. */
  readonly stackFile: string;
  /** Prompts and messages to seed over all tenants. */
  readonly rows: number;
  /** Operations that the traffic generator must have acknowledged between two moves. */
  readonly operations: number;
  /** Shows progress. */
  say(line: string): void;
}

/** What a step reports while it runs. */
export interface StepReport {
  /** An earlier run got this far; since then anything may have happened, to the checkout as well. */
  readonly isRepeat: boolean;
  count(name: string, value: number): void;
  /** @throws when it does not hold */
  check(holds: boolean, sentence: string): void;
}

export interface TourStep {
  readonly name: string;
  readonly title: string;
  /** Run again although an earlier run succeeded. @default false */
  readonly always?: boolean;
  run(context: TourContext, report: StepReport): Promise<void>;
}
