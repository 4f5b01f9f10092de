/** A bug that is switched on in a copy of the engine: what is replaced by what, once in its file. */
export interface SeededBug {
  readonly title: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Drills to run, and the titles in them that aim at it; any case that fails has caught it. */
  readonly aims: readonly { readonly drill: string; readonly titles: RegExp }[];
}

export const seededBugs: readonly SeededBug[] = [
  {
    title: "the epoch is not compared",
    file: "ledger/epoch.ts",
    from: "if (state.epoch !== epoch) {",
    to: "if (state.epoch < epoch) {",
    aims: [{ drill: "paused", titles: /drain\.before:2 on the way to r2/ }],
  },
  {
    title: "the last drain under the lock is left out",
    file: "mirror/cutover-transaction.ts",
    from: "if (waiting === 0) return 0;",
    to: "if (waiting >= 0) return waiting;",
    aims: [{ drill: "traffic", titles: /between the last drain and the lock/ }],
  },
  {
    title: "captured rows are deleted by a watermark",
    file: "mirror/drain.ts",
    from: "WHERE seq = ANY($1)`, [batch.seqs]",
    to: "WHERE seq <= $1::bigint`, [batch.seqs.at(-1)]",
    aims: [{ drill: "traffic", titles: /captured first commits last/ }],
  },
  {
    title: "the tag of a ciphertext is ignored",
    file: "tink/aead.ts",
    from: "decipher.final();",
    to: "void decipher;",
    aims: [{ drill: "tamper", titles: /a bit of the tag flipped/ }],
  },
  {
    title: "the ledger row of a chunk commits before its rows",
    file: "mirror/load.ts",
    from: "await addRange(client, macs, {",
    to: "await addRange(run.sessions.control, macs, {",
    aims: [{ drill: "kill-points", titles: /^killed at chunk\.ledger\.after forwards$/ }],
  },
  {
    title: "capture fires on UPDATE OF the payload only",
    file: "mirror/capture.ts",
    from: "AFTER INSERT OR UPDATE OR DELETE ON ${table.quoted}",
    to: "AFTER INSERT OR UPDATE OF ${shape.payload} OR DELETE ON ${table.quoted}",
    aims: [{ drill: "round-trip", titles: /from off to r2, abandoned after prepare/ }],
  },
  {
    title: "nothing is compared",
    file: "mirror/verify.ts",
    from: "if (!isEqual(comparison)) {",
    to: "if (comparison.compared < 0) {",
    aims: [{ drill: "tamper", titles: /a copy with a row flipped/ }],
  },
  {
    title: "the old release keeps its privileges",
    file: "grants.ts",
    from: '`REVOKE ALL ON ${all} FROM ${[...fenced, role].join(", ")}`',
    to: "`REVOKE ALL ON ${all} FROM ${role}`",
    aims: [{ drill: "fence", titles: /r1 after the cutover/ }],
  },
  {
    title: "capture stays on the side that has lost authority",
    file: "mirror/cutover-transaction.ts",
    from: "...lanes.map((lane) => startCaptureSql(lane, lane.to)),",
    to: "...lanes.map((lane) => startCaptureSql(lane, lane.from)),",
    aims: [{ drill: "fence", titles: /r1 after the cutover/ }],
  },
  {
    title: "keys beyond the copied ranges are drained",
    file: "mirror/drain.ts",
    from: "{ lower: null, upper: frontier }",
    to: "{ lower: null, upper: null }",
    aims: [{ drill: "traffic", titles: /not copied yet/ }],
  },
  {
    title: "a copy that a rollback has interrupted is left as it is",
    file: "mirror/engine.ts",
    from: "if (!goal.isUnderWay)",
    to: "if (name !== '')",
    aims: [{ drill: "round-trip", titles: /from off to r2, killed in the copy/ }],
  },
  {
    title: "a connection to Vault that breaks is not tried again",
    file: "vault/session.ts",
    from: "error instanceof VaultError && error.isTransient;",
    to: 'error instanceof VaultError && error.reason === "sealed";',
    aims: [{ drill: "lost-ack", titles: /^Vault's answer to the making of the KEK/ }],
  },
  {
    title: "a broken connection to PostgreSQL is told as the driver tells it",
    file: "mirror/perform.ts",
    from: ": tellServerFault(clean, job.tenant, resolveReference(job.region.postgresUrl));",
    to: ": clean.message;",
    aims: [{ drill: "lost-ack", titles: /^PostgreSQL's answer to the cutover is lost in cutover to r2/ }],
  },
  {
    title: "the registry gives up when the answer to a route is lost",
    file: "registry/registry-session.ts",
    from: "shouldRetry: ({ error }) => isBrokenConnection(error.cause),",
    to: "shouldRetry: () => false,",
    aims: [{ drill: "lost-ack", titles: /^the registry's answer to the route/ }],
  },
];
