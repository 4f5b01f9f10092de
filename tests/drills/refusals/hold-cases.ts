import type { RefusalCase } from "./refusal-case.ts";
import { r1, r2, stackText } from "./refusal-world.ts";
import type { RefusalWorld } from "./refusal-world.ts";
import { approvalsOfOne } from "./release-cases.ts";

const toR2 = (world: RefusalWorld) => world.writeStackFile(stackText(r2, r1));

const holding = (hold: { wave?: string; hashes: string }) => async (world: RefusalWorld) => {
  await toR2(world);
  await placeHold(world, hold);
};

async function placeHold(world: RefusalWorld, { wave, hashes }: { wave?: string; hashes: string }): Promise<void> {
  const values = `'dev', ${wave === undefined ? "NULL" : `'${wave}'`}, '{${hashes}}', 'ben', 'incident 12'`;
  await world.servers.sql(
    "rc_registry",
    `INSERT INTO registry.hold (environment, wave, hashes, who, why) VALUES (${values})`,
  );
}

const unhold = async (world: RefusalWorld) =>
  void (await world.servers.sql("rc_registry", "TRUNCATE registry.hold RESTART IDENTITY"));

async function rescind(world: RefusalWorld, pin: string): Promise<void> {
  const values = `'${pin.slice(3)}', 'ben', 'leaks tokens'`;
  await world.servers.sql("rc_registry", `INSERT INTO registry.rescinded (hash, who, why) VALUES (${values})`);
}

const unrescind = async (world: RefusalWorld) =>
  void (await world.servers.sql("rc_registry", "TRUNCATE registry.rescinded"));

/** Holds and rescissions: by a plain `pulumi up` too. */
export const holdCases: readonly RefusalCase[] = [
  {
    title: "a held environment, by preview and by a plain update",
    on: "r1",
    arrange: holding({ hashes: r2.slice(3) }),
    attempts: [
      {
        command: "preview",
        says: [
          /dev is held since 20\d\d-/,
          /by ben: incident 12/,
          new RegExp(`${r2} is forbidden`),
          /coordinator promote r2/,
        ],
      },
      { command: "up", says: [/dev is held since/, /coordinator promote r2 --env dev/] },
    ],
    mend: unhold,
  },
  {
    title: "a hold that is written between preview and update",
    on: "r1",
    arrange: holding({ hashes: r2.slice(3) }),
    attempts: [{ command: "up now", says: [/dev is held since/, /by ben: incident 12/] }],
    mend: unhold,
  },
  {
    title: "a hold on every update",
    on: "r1",
    arrange: holding({ hashes: "" }),
    attempts: [{ command: "preview", says: [/dev is held since/, /coordinator unhold --env dev --id 1/] }],
    mend: unhold,
  },
  {
    title: "a held wave",
    on: "r1",
    arrange: holding({ wave: "general", hashes: r2.slice(3) }),
    attempts: [{ command: "preview", says: [/dev \(wave general\) is held since/, /by ben: incident 12/] }],
    mend: unhold,
  },
  {
    title: "a hold that a scheduler may not lift",
    on: "r1",
    arrange: (world) => placeHold(world, { hashes: r2.slice(3) }),
    attempts: [
      {
        command: ["promote", "r2", "--env", "dev", "--keep-holds"],
        exitCode: 2,
        says: [/dev is held since/, /ben: incident 12/],
      },
    ],
    mend: unhold,
  },
  {
    title: "a promotion that has lifted a hold before its approvals were found missing",
    on: "r1",
    async arrange(world) {
      await world.writeStackFile(stackText(r1, "none", [approvalsOfOne]));
      await placeHold(world, { hashes: r2.slice(3) });
    },
    attempts: [
      {
        command: ["promote", "r2", "--env", "dev"],
        exitCode: 3,
        says: [/lifting the hold: dev is held since/, /1 people must approve/],
      },
    ],
    mend: unhold,
  },
  {
    title: "a rescinded release, by preview",
    on: "r1",
    async arrange(world) {
      await toR2(world);
      await rescind(world, r2);
    },
    attempts: [{ command: "preview", says: [new RegExp(`${r2} is rescinded`), /by ben: leaks tokens/, /new id/] }],
    mend: unrescind,
  },
  {
    title: "a promotion to a rescinded release",
    on: "r1",
    arrange: (world) => rescind(world, r2),
    attempts: [
      { command: ["promote", "r2", "--env", "dev"], exitCode: 2, says: [new RegExp(`${r2} is rescinded`), /new id/] },
    ],
    mend: unrescind,
  },
  {
    title: "a rollback to a release that somebody holds",
    on: "r2",
    arrange: (world) => placeHold(world, { hashes: r1.slice(3) }),
    attempts: [
      {
        command: ["rollback", "dev"],
        exitCode: 2,
        says: [/dev holds \w+ since/, /ben: incident 12/, /coordinator promote <release> --env dev/],
      },
    ],
    mend: unhold,
  },
  {
    title: "a rollback to a rescinded release",
    on: "r2",
    arrange: (world) => rescind(world, r1),
    attempts: [{ command: ["rollback", "dev"], exitCode: 2, says: [new RegExp(`${r1} is rescinded: leaks tokens`)] }],
    mend: unrescind,
  },
];
