import { contentHash } from "../../../releases/content-hash.ts";
import { getRelease } from "../../../releases/catalog.ts";
import type { RefusalCase } from "./refusal-case.ts";
import { r1, r2, stackText } from "./refusal-world.ts";
import type { RefusalWorld } from "./refusal-world.ts";

const pinning =
  (now: string, back: string, ...more: string[]) =>
  (world: RefusalWorld) =>
    world.writeStackFile(stackText(now, back, more));

/** A day that is not today anywhere on earth, so that its window is closed. */
function closedWindow(): string {
  const day = new Date(Date.now() + 3 * 86_400_000).toLocaleDateString("en-US", { weekday: "short", timeZone: "UTC" });
  return `windows: ["${day.toLowerCase()} 09:00-16:00 Europe/Berlin"]`;
}

/** Lines of a stack file that wants one person to approve. */
export const approvalsOfOne = "approvals: { promotion: { minimum: 1 }, finalize: { minimum: 1 } }";

let untouched = "";

/** Releases and pins that do not exist, were edited, do not follow, or may not start now. */
export const releaseCases: readonly RefusalCase[] = [
  {
    title: "an unknown release in the stack file",
    on: "r1",
    arrange: pinning("r9@000000000000", r1),
    attempts: [
      {
        command: "preview",
        says: [/pins\.canary\.now/, /r9@000000000000/, /a release of the catalog: r1@/, /mend:.*correct the id/],
      },
    ],
  },
  {
    title: "an unknown content of a known release",
    on: "r1",
    arrange: pinning("r2@000000000000", r1),
    attempts: [
      {
        command: "preview",
        says: [/r2@000000000000/, new RegExp(r2), /releases\/r2\.ts has the content hash/, /mend:/],
      },
      {
        command: ["check", "r2", "--env", "dev"],
        exitCode: 1,
        says: [/r2@000000000000/, new RegExp(`pin ${r2} in \\S*Pulumi\\.dev\\.yaml`)],
      },
    ],
  },
  {
    title: "a published release that was edited",
    on: "r1",
    async arrange(world) {
      const list = [{ id: "r2", hash: contentHash(getRelease("r2")) }];
      await world.editProgram("releases/published.json", () => JSON.stringify(list));
      untouched = await world.editProgram("releases/r2.ts", (text) => text.replace(/title: "/, 'title: "Better '));
      await world.writeStackFile(stackText(r2, r1));
    },
    attempts: [
      {
        command: "preview",
        says: [/pins\.canary\.now/, new RegExp(r2), /the content published as r2/, /give the changed release a new id/],
      },
      {
        command: ["lint"],
        exitCode: 1,
        says: [/releases\/published\.json/, /seen:/, /allowed:/, /git checkout main -- releases\/r2\.ts/],
      },
    ],
    async mend(world) {
      await world.editProgram("releases/published.json", () => "[]\n");
      await world.editProgram("releases/r2.ts", () => untouched);
    },
  },
  {
    title: "a promotion to a release that nobody knows, or to another content of a known one",
    on: "r1",
    attempts: [
      { command: ["promote", "r9", "--env", "dev"], exitCode: 1, says: [/r9/, /r1.*r2.*r3.*r4/] },
      {
        command: ["promote", "r2@000000000000", "--env", "dev"],
        exitCode: 1,
        says: [/r2@000000000000 is not what this checkout holds/, new RegExp(r2), /check out the commit/],
      },
    ],
  },
  {
    title: "R1 to R3 in one step",
    on: "r1",
    attempts: [
      {
        command: ["promote", "r3", "--env", "dev"],
        exitCode: 2,
        says: [/r3 follows r2, not r1/, /one release at a time/, /r1 -> r2, r2 -> r3/],
      },
    ],
  },
  {
    title: "a way back over two releases, from R3 to R1",
    on: "r1",
    arrange: (world) => world.writeStackFile(stackText(r1, r3())),
    attempts: [
      { command: "preview", says: [/pins\.canary\.back/, /a neighbour of r1/, /mend: +go one release at a time/] },
    ],
  },
  {
    title: "a release with open blockers",
    on: "r1",
    arrange: (world) => world.writeStackFile(stackText(r3(), r2)),
    attempts: [{ command: "preview", says: [/pins\.canary\.now/, /r3@/, /without open blockers/, /mend:/] }],
  },
  {
    title: "a closed change window",
    on: "r1",
    arrange: pinning(r1, "none", closedWindow()),
    attempts: [
      {
        command: ["promote", "r2", "--env", "dev"],
        exitCode: 3,
        says: [/no change window is open now/, /09:00-16:00 Europe\/Berlin/, /repeat inside one/],
      },
    ],
  },
  {
    title: "approvals that are missing",
    on: "r1",
    arrange: pinning(r1, "none", approvalsOfOne),
    attempts: [
      {
        command: ["promote", "r2", "--env", "dev"],
        exitCode: 3,
        says: [/1 people must approve [0-9a-f]{16}, 0 did/, /coordinator approve r2 --env dev --digest [0-9a-f]{16}/],
      },
    ],
  },
  {
    title: "a wave and an environment that do not exist",
    on: "r1",
    attempts: [
      {
        command: ["promote", "r2", "--env", "dev", "--wave", "early"],
        exitCode: 1,
        says: [/dev has no wave early; allowed: canary, general/],
      },
      { command: ["promote", "r2", "--env", "staging"], exitCode: 1, says: [/Pulumi\.staging\.yaml/, /--env/] },
    ],
  },
];

function r3(): string {
  return `r3@${contentHash(getRelease("r3")).slice(0, 12)}`;
}
