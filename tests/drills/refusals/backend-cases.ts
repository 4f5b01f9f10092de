import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { RefusalCase } from "./refusal-case.ts";
import { r1, r2 } from "./refusal-world.ts";
import type { RefusalWorld } from "./refusal-world.ts";

const locksOf = ({ backend }: RefusalWorld) =>
  join(backend, ".pulumi", "locks", "organization", "release-coordinator", "dev");
const historyOf = ({ backend }: RefusalWorld) => join(backend, ".pulumi", "history", "release-coordinator", "dev");
const kept = ({ folder }: RefusalWorld) => join(folder, "kept-history");

/** Keeps the history aside while a case spoils it. */
async function changeHistory(world: RefusalWorld, edit: (text: string) => string): Promise<void> {
  await cp(historyOf(world), kept(world), { recursive: true, preserveTimestamps: true });
  for (const name of await readdir(historyOf(world))) {
    if (!name.endsWith(".history.json")) continue;
    const file = join(historyOf(world), name);
    await writeFile(file, edit(await readFile(file, "utf8")));
  }
}

async function restoreHistory(world: RefusalWorld): Promise<void> {
  await rm(historyOf(world), { recursive: true });
  await cp(kept(world), historyOf(world), { recursive: true, preserveTimestamps: true });
  await rm(kept(world), { recursive: true });
}

/** Pulumi's backend: locked, not there, not ours, or with a history that says nothing of this environment. */
export const backendCases: readonly RefusalCase[] = [
  {
    title: "a second promotion at the same time",
    on: "r1",
    async arrange(world) {
      // As the file backend writes it; the owner is this process, which lives.
      const lock = { pid: process.pid, username: "ben", hostname: hostname(), timestamp: "2026-11-22T17:43:07Z" };
      await mkdir(locksOf(world), { recursive: true });
      await writeFile(join(locksOf(world), "1c7ad6a4-9d3c-4b4e-8a55-0c7d6a4d3c4b.json"), JSON.stringify(lock));
    },
    attempts: [
      { command: "up now", says: [/currently locked by 1 lock/, /created by ben@\S+ \(pid \d+\)/, /pulumi cancel/] },
      {
        command: ["promote", "r2", "--env", "dev"],
        exitCode: 1,
        says: [/locked by ben@\S+ \(pid \d+\)/, /as it was/, /pulumi cancel|let it end/],
      },
    ],
    mend: (world) => rm(locksOf(world), { recursive: true }),
  },
  {
    title: "a wrong passphrase",
    on: "r1",
    attempts: [
      { command: "preview", variables: { PULUMI_CONFIG_PASSPHRASE: "not-it" }, says: [/passphrase/i] },
      {
        command: ["promote", "r2", "--env", "dev"],
        variables: { PULUMI_CONFIG_PASSPHRASE: "not-it" },
        exitCode: 1,
        says: [/incorrect passphrase/, /nothing was changed/, /PULUMI_CONFIG_PASSPHRASE/],
      },
    ],
  },
  {
    title: "a backend that is not there",
    on: "r1",
    attempts: [
      {
        command: "preview",
        variables: { PULUMI_BACKEND_URL: "file:///nowhere/backend" },
        says: [/\/nowhere\/backend/],
      },
      {
        command: ["promote", "r2", "--env", "dev"],
        variables: { PULUMI_BACKEND_URL: "file:///nowhere/backend" },
        exitCode: 1,
        says: [/file:\/\/\/nowhere\/backend/, /PULUMI_BACKEND_URL/],
      },
    ],
  },
  {
    title: "a backend that is a file",
    on: "r1",
    attempts: [
      {
        command: ["rollback", "dev"],
        variables: { PULUMI_BACKEND_URL: "file:///etc/hostname" },
        exitCode: 1,
        says: [/file:\/\/\/etc\/hostname/, /PULUMI_BACKEND_URL/],
      },
    ],
  },
  {
    title: "a backend that knows no such stack",
    on: "r1",
    attempts: [
      {
        command: ["promote", "r2", "--env", "dev"],
        variables: { PULUMI_BACKEND_URL: "file:///tmp" },
        exitCode: 1,
        says: [/stack dev does not exist in this backend/, /pulumi stack init dev/],
      },
    ],
  },
  {
    title: "a rollback whose history belongs to another project",
    on: "r2",
    arrange: (world) =>
      changeHistory(world, (text) => text.replaceAll("release-coordinator:environment", "other:environment")),
    attempts: [
      {
        command: ["rollback", "dev"],
        exitCode: 2,
        says: [new RegExp(`history holds no verified state before ${r2}`), /nothing older ran here/],
      },
    ],
    mend: restoreHistory,
  },
  {
    title: "a rollback whose history is truncated",
    on: "r2",
    arrange: (world) => changeHistory(world, (text) => text.slice(0, 100)),
    attempts: [
      {
        command: ["rollback", "dev"],
        exitCode: 2,
        says: [/warning: .*history\.json is left out/, /history holds no verified state/],
      },
    ],
    mend: restoreHistory,
  },
  {
    title: "a rollback where nothing older ran",
    on: "r1",
    attempts: [
      {
        command: ["rollback", "dev"],
        exitCode: 2,
        says: [new RegExp(`no verified state before ${r1}: nothing older`)],
      },
    ],
  },
];
