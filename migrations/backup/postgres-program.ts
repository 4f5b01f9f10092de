import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** A database for pg_dump or pg_restore. */
export interface ProgramDatabase {
  /** URL of the server with a login. */
  readonly url: string;
  readonly database: string;
  /** Role that the program takes on. */
  readonly role: string;
}

/** A program of PostgreSQL that failed. Its own words are told only where they cannot quote rows. */
export class ProgramError extends Error {
  override readonly name = "ProgramError";
}

/**
 * The bytes of `pg_dump --format=custom` of one database, in a snapshot that another session has exported. Extensions are
 * left out: only an operator may make them.
 *
 * @returns a stream that fails with {@link ProgramError} when pg_dump does, also after its last byte
 */
export function dumpStream(target: ProgramDatabase, snapshot: string): Readable {
  const words = ["--format=custom", "--compress=gzip:1", `--snapshot=${snapshot}`, "--exclude-extension=*"];
  return Readable.from(dumpBytes(target, [...words, `--lock-wait-timeout=${lockWaitMs}`]), { objectMode: false });
}

async function* dumpBytes(target: ProgramDatabase, words: readonly string[]): AsyncGenerator<Buffer> {
  const program = start("pg_dump", target, words, ["ignore", "pipe", "pipe"]);
  try {
    for await (const chunk of program.child.stdout as Readable) yield chunk as Buffer;
    await program.ended;
  } finally {
    program.child.kill("SIGKILL");
  }
}

/**
 * Feeds a dump to `pg_restore`, which stops at the first error.
 *
 * @throws {ProgramError} pg_restore failed @throws what the stream throws; pg_restore is ended then
 */
export async function restoreStream(target: ProgramDatabase, dump: Readable): Promise<void> {
  const words = ["--format=custom", "--exit-on-error", "--no-owner"];
  const program = start("pg_restore", target, words, ["pipe", "ignore", "pipe"]);
  // A failure of its own closes its input as well, and is the one that says why.
  const fed = pipeline(dump, program.child.stdin as Writable).then(
    () => undefined,
    (error: unknown) => {
      program.child.kill("SIGKILL");
      return error as NodeJS.ErrnoException;
    },
  );
  const [fault, failure] = await Promise.all([
    fed,
    program.ended.then(
      () => undefined,
      (error: unknown) => error as ProgramError,
    ),
  ]);
  if (fault !== undefined && fault.code !== "EPIPE" && fault.code !== "ECONNRESET") throw fault;
  if (failure !== undefined) throw failure;
  if (fault !== undefined) throw fault;
}

/** Longest wait of pg_dump for a table that somebody keeps locked. */
const lockWaitMs = 60_000;

function start(
  name: "pg_dump" | "pg_restore",
  { url, database, role }: ProgramDatabase,
  words: readonly string[],
  stdio: ("ignore" | "pipe")[],
): { readonly child: ChildProcess; readonly ended: Promise<void> } {
  const parsed = new URL(url);
  const password = decodeURIComponent(parsed.password);
  parsed.password = "";
  parsed.pathname = `/${encodeURIComponent(database)}`;
  const folder = process.env["RC_POSTGRES_BIN"];
  const child = spawn(
    folder ? join(folder, name) : name,
    [...words, "--no-password", `--role=${role}`, `--dbname=${parsed.href}`],
    // The password goes through the environment, which other users cannot read, unlike the arguments.
    { stdio, env: { PATH: process.env["PATH"] ?? "", LANG: "C.UTF-8", PGPASSWORD: password, PGAPPNAME: `rc-${name}` } },
  );
  let told = "";
  child.stderr?.on("data", (chunk: Buffer) => (told = (told + chunk.toString()).slice(-toldCharacters)));
  const ended = new Promise<void>((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        new ProgramError(
          `${name} does not start (${error.code}); install PostgreSQL's client programs and name their folder in RC_POSTGRES_BIN`,
        ),
      ),
    );
    child.once("close", (code, signal) => {
      if (code === 0) resolve();
      else reject(new ProgramError(`${name} ended with ${signal ?? `code ${code}`}: ${harmless(told, name)}`));
    });
  });
  ended.catch(() => undefined); // told to whoever waits for it
  return { child, ended };
}

const toldCharacters = 4000;

/** What is known to name things and never values; all else could quote a row. */
function harmless(told: string, name: string): string {
  if (told.includes("server version mismatch"))
    return `it is older than the server; name the folder of newer programs in RC_POSTGRES_BIN`;
  const known =
    /^.*(role "[^"]*" does not exist|permission denied for [\w ]+|could not (connect|extend file)[^\n]*|connection to server[^\n]*|extension "[^"]*" is not available|row-level security policy for table[^\n]*|canceling statement due to lock timeout|No space left on device|input file (is too short|does not appear to be a valid archive)[^\n]*).*$/m.exec(
      told,
    );
  return known?.[1] ?? `what it said is withheld, it may quote rows; run ${name} by hand to see it`;
}
