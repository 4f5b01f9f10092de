import type { RefusalCase } from "./refusal-case.ts";
import { r1, r2, stackText } from "./refusal-world.ts";
import type { RefusalWorld } from "./refusal-world.ts";

/** The registry's copy of the ledgers, as it would be after other things have happened. */
const projecting =
  (...statements: string[]) =>
  async (world: RefusalWorld) => {
    await world.servers.sql(
      "rc_registry",
      "CREATE TABLE registry.kept AS SELECT * FROM registry.tenant_state",
      ...statements,
    );
  };

const restoreProjection = async (world: RefusalWorld) =>
  void (await world.servers.sql(
    "rc_registry",
    "TRUNCATE registry.tenant_state",
    "INSERT INTO registry.tenant_state SELECT * FROM registry.kept",
    "DROP TABLE registry.kept",
  ));

let untouched = "";

/** Pins whose way back does not fit what runs, and rollbacks that schema or position forbid. */
export const wayBackCases: readonly RefusalCase[] = [
  {
    title: "`back: none` while tenants run the older release",
    on: "r1",
    arrange: (world) => world.writeStackFile(stackText(r2, "none")),
    attempts: [
      {
        command: "preview",
        says: [
          /wave canary: 1 tenants run another release/,
          new RegExp(`acme runs ${r1}`),
          /allowed is r2/,
          /set pins\.canary\.back/,
        ],
      },
    ],
  },
  {
    title: "a `back` that is not what runs",
    on: "r2",
    arrange: (world) => world.writeStackFile(stackText(r1, "none")),
    attempts: [
      {
        command: "preview",
        says: [
          /tenants run another release than the stack file says/,
          new RegExp(`acme runs ${r2}`),
          /set pins\.canary\.back/,
        ],
      },
      { command: "up now", says: [/set pins\.general\.back to r2@/] },
    ],
  },
  {
    title: "a suspended tenant that the stack file would leave without a fleet",
    on: "r1",
    async arrange(world) {
      await world.servers.sql("rc_registry", "UPDATE registry.tenant SET status = 'suspended' WHERE id = 'cobalt'");
      await world.writeStackFile(stackText(r2, "none"));
    },
    attempts: [{ command: "preview", says: [/cobalt \(suspended\) runs r1@/, /allowed is r2/] }],
    mend: async (world) =>
      void (await world.servers.sql("rc_registry", "UPDATE registry.tenant SET status = 'active' WHERE id = 'cobalt'")),
  },
  {
    title: "a rollback past the point where it is a rebuild that nobody has measured",
    on: "r2",
    arrange: projecting("UPDATE registry.tenant_state SET position = 'retired', rate_rows_per_s = NULL"),
    attempts: [
      {
        command: ["rollback", "dev"],
        exitCode: 3,
        says: [/retired for 1 tenant/, /no rate was measured/, /--confirm/],
      },
    ],
    mend: restoreProjection,
  },
  {
    title: "a rollback that takes longer than was promised",
    on: "r2",
    arrange: projecting("UPDATE registry.tenant_state SET position = 'retired', rows = 1000000, rate_rows_per_s = 100"),
    attempts: [
      {
        command: ["rollback", "dev"],
        exitCode: 3,
        says: [/about \d+ min, more than the promised 15/, /repeat with --confirm/],
      },
    ],
    mend: restoreProjection,
  },
  {
    title: "a rollback across a mirror that a newer release has moved",
    on: "r2",
    arrange: projecting(
      `INSERT INTO registry.tenant_state (tenant, mirror, position, epoch) VALUES ('acme', 'vector-store', 'switched', 1)`,
    ),
    attempts: [
      {
        command: ["rollback", "dev"],
        exitCode: 2,
        says: [/mirror vector-store of 1 tenant/, /switched/, /a newer release runs there/, /coordinator diff --exact/],
      },
    ],
    mend: restoreProjection,
  },
  {
    title: "a rollback that the schema forbids",
    on: "r2",
    async arrange(world) {
      untouched = await world.editProgram("releases/r2.ts", (text) => text.replace(/expand: "r1"/, 'expand: "r2"'));
      const { output } = await world.run("coordinator", ["lint", "--json"]);
      const edited = /r2@[0-9a-f]{12}/g;
      const pins = (output.match(edited) ?? []).filter((pin) => pin !== r2);
      await world.writeStackFile(stackText(pins[0] ?? r2, r1));
    },
    attempts: [
      {
        command: ["rollback", "dev", "--to", "r1"],
        exitCode: 2,
        says: [
          /schema 0002 of r2 runs nothing older than r2/,
          /r1 cannot/,
          /the way is forward: correct r2 under a new id/,
        ],
      },
    ],
    mend: async (world) => void (await world.editProgram("releases/r2.ts", () => untouched)),
  },
  {
    title: "a rollback to a release that never ran here",
    on: "r2",
    attempts: [
      {
        command: ["rollback", "dev", "--to", "r1@000000000000"],
        exitCode: 2,
        says: [/r1@000000000000 never ran here/, new RegExp(`allowed: ${r1}`)],
      },
    ],
  },
];
