import { pinOf } from "../../releases/pin.ts";
import type { Release } from "../../releases/release.ts";
import type { EnvironmentFacts } from "../environment-facts.ts";
import { holdsAgainst } from "../gate/hold-gate.ts";
import { gitPatch, pathInRepository } from "../patch.ts";
import type { StackFile } from "../stack-file.ts";

/** Who writes a hold when the program itself gives a release up: the traffic node, and the cutover of several regions. */
const authors = ["traffic", "cutover"];

/**
 * After an update that gave the release up the world is where it was, and the stack file still pins the release: it is pinned
 * back, wave by wave, so that file and world agree. A wave with a tenant on the release, or without a way back, keeps its pins:
 * there only a rollback knows more.
 * @returns what was done, with the patch for Git; empty: the release was not given up
 */
export async function repinGivenUp(file: StackFile, to: Release, facts: EnvironmentFacts): Promise<readonly string[]> {
  const pin = pinOf(to);
  const given = Object.entries(file.pins()).filter(
    ([wave, { now }]) => now === pin && holdsAgainst(facts.holds, to, [wave]).some(({ who }) => authors.includes(who)),
  );
  if (given.length === 0) return [];
  const isAway = (wave: string) => (facts.waves.get(wave) ?? []).every((tenant) => tenant.pin !== pin);
  const turned = given.filter(([wave, { back }]) => back !== "none" && isAway(wave));
  const before = file.text();
  for (const [wave, { back }] of turned) {
    file.setPins(wave, { now: back, back: pin });
    file.removeFinalize(wave);
  }
  await file.write();
  const kept = given.filter((each) => !turned.includes(each)).map(([wave]) => wave);
  const patch = await gitPatch({ path: await pathInRepository(file.path), before, after: file.text() });
  return [
    ...(turned.length === 0
      ? []
      : [`${file.path} pins ${turned.map(([wave, { back }]) => `${wave} at ${back}`).join(", ")} again`]),
    ...(kept.length === 0
      ? []
      : [`wave ${kept.join(", ")}: tenants are still on ${pin}, or back is none; its pins stay: coordinator rollback`]),
    ...(patch === "" ? [] : ["merge this patch, else the next update from main is refused by the hold:", patch]),
  ];
}
