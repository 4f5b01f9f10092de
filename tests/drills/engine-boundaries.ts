import type { Boundary } from "./postgres-proxy.ts";

const engine = /^rc-mirror /;

const commitOf = (transaction: RegExp): Boundary => ({ session: engine, statement: /^COMMIT$/, transaction });

/** Where the engine and PostgreSQL have to agree on what has happened. A drill fails when the engine never gets there. */
export const engineBoundaries = {
  plan: { session: engine, statement: /to_regclass\('rc\.ledger_/ },
  ledger: commitOf(/CREATE SCHEMA IF NOT EXISTS rc/),
  lock: { session: engine, statement: /pg_try_advisory_lock/ },
  mirror: { session: engine, statement: /^INSERT INTO rc\.mirror / },
  takeover: commitOf(/^UPDATE rc\.mirror SET epoch = epoch \+ 1, holder/m),
  keyset: { session: engine, statement: /INSERT INTO rc\.keyset / },
  capture: commitOf(/CREATE OR REPLACE TRIGGER "zz_rc_capture"/),
  chunk: commitOf(/INSERT INTO rc\.range /),
  loaded: commitOf(/SET phase = 'verify'/),
  verified: commitOf(/UPDATE rc\.range AS range SET verified_epoch/),
  drain: commitOf(/DELETE FROM "rc"\."dirty_/),
  position: commitOf(/UPDATE rc\.mirror SET position = \$2, phase = /),
  cutoverLock: { session: / cutover$/, statement: /^LOCK TABLE / },
  cutoverFlip: { session: / cutover$/, statement: /UPDATE rc\.mirror SET position = / },
  cutover: { session: / cutover$/, statement: /^COMMIT$/ },
} as const satisfies Readonly<Record<string, Boundary>>;

/** One of `engineBoundaries`. */
export type EngineBoundary = keyof typeof engineBoundaries;
