import { rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { RefusalCase } from "./refusal-case.ts";
import { r1, r2, stackText } from "./refusal-world.ts";
import type { RefusalWorld } from "./refusal-world.ts";

const lastKnew = (world: RefusalWorld, what: string) =>
  world.servers.sql(
    "rc_registry",
    `UPDATE registry.program SET knows = knows || '${what}'::text WHERE environment = 'dev'`,
  );

const forget = async (world: RefusalWorld) =>
  void (await world.servers.sql(
    "rc_registry",
    `UPDATE registry.program SET git_commit = NULL,
       knows = ARRAY(SELECT k FROM unnest(knows) WITH ORDINALITY AS u(k, nth) WHERE k NOT IN ('release r5', 'schema 0004') ORDER BY nth)
     WHERE environment = 'dev'`,
  ));

/** Programs older than the last one that ran here, told by what they know and by Git. */
export const programCases: readonly RefusalCase[] = [
  {
    title: "a program that does not know a release that the last one knew",
    on: "r1",
    arrange: async (world) => void (await lastKnew(world, "release r5")),
    attempts: [
      {
        command: "preview",
        says: [
          /dev: the program in this checkout is older than the last one/,
          /does not know release r5/,
          /check out the program/,
        ],
      },
      { command: "up now", says: [/does not know release r5/] },
    ],
    mend: forget,
  },
  {
    title: "a program that does not know a schema revision that the last one knew",
    on: "r1",
    async arrange(world) {
      await lastKnew(world, "schema 0004");
      await world.writeStackFile(stackText(r2, r1));
    },
    attempts: [
      {
        command: ["promote", "r2", "--env", "dev"],
        exitCode: 2,
        says: [/does not know schema 0004/, /allowed is that program or a newer one/],
      },
    ],
    mend: forget,
  },
  {
    title: "a checkout of an earlier commit than the one that ran last",
    on: "r1",
    async arrange(world) {
      const git = (...words: string[]) =>
        execa("git", ["-C", world.program, "-c", "user.name=drill", "-c", "user.email=drill@localhost", ...words]);
      await git("init", "-q");
      await git("add", "index.ts");
      await git("commit", "-q", "-m", "the earlier program");
      const earlier = (await git("rev-parse", "HEAD")).stdout;
      await git("commit", "-q", "--allow-empty", "-m", "the program that ran last");
      const last = (await git("rev-parse", "HEAD")).stdout;
      await git("checkout", "-q", earlier);
      await world.servers.sql(
        "rc_registry",
        `UPDATE registry.program SET git_commit = '${last}' WHERE environment = 'dev'`,
      );
    },
    attempts: [
      {
        command: "preview",
        says: [
          /older than the last one that ran here \(commit [0-9a-f]{12}\)/,
          /is an ancestor of that one/,
          /git checkout [0-9a-f]{12}/,
        ],
      },
    ],
    async mend(world) {
      await forget(world);
      await rm(join(world.program, ".git"), { recursive: true });
    },
  },
  {
    title: "a rollback with a program older than the one that ran last",
    on: "r2",
    arrange: async (world) => void (await lastKnew(world, "release r5")),
    attempts: [
      { command: ["rollback", "dev"], exitCode: 2, says: [/does not know release r5/, /nothing was changed/] },
    ],
    async mend(world) {
      await forget(world);
    },
  },
];
