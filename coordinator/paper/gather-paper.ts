import { getRelease } from "../../releases/catalog.ts";
import { parseEnvironment } from "../../releases/environment.ts";
import { pinOf } from "../../releases/pin.ts";
import { newestRelease } from "../approval/reviewed-change.ts";
import { emptyFacts, mirrorStates, openRegistry, readFacts } from "../environment-facts.ts";
import { openEvidenceOf } from "../evidence/open-evidence.ts";
import { judgeGates } from "../gate/judge-gates.ts";
import { openStackFile, projectFolder } from "../project.ts";
import type { CommonOptions, Surroundings } from "../project.ts";
import { judgePromotion, partsToAdd } from "../release-judgement.ts";
import { secretsOf } from "../report/known-secrets.ts";
import { Sight } from "../report/sight.ts";
import { countMigrations } from "../report/wave-migration.ts";
import { waysBack } from "../way-back.ts";
import type { PaperFacts } from "./paper-facts.ts";

/**
 * Reads what papers are rendered from; what cannot be read is named in them. Changes nothing.
 * @param wanted release the paper is about @default the newest one that is pinned
 * @throws {FaultReport} the stack file is unsound; naming a release that is not in the catalog
 */
export async function gatherPaper(
  wanted: string | undefined,
  options: CommonOptions,
  surroundings: Surroundings,
): Promise<PaperFacts> {
  const sight = new Sight();
  const now = new Date();
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const to = wanted === undefined ? newestRelease(file.pins()) : getRelease(wanted.split("@")[0] ?? wanted);
  const registry = await sight.look("the registry", () => openRegistry(environment, { isReadOnly: true }));
  const evidence = await sight.look("the evidence", () => openEvidenceOf(options, surroundings));
  try {
    const read = registry && (await sight.look("the registry", () => readFacts(environment, registry)));
    const facts = read ?? emptyFacts(environment);
    const names = environment.waves.map(({ name }) => name);
    const judged = read && (await sight.look("the gates", () => judgePromotion(environment, to, names, facts)));
    const moving = judged?.moving ?? [];
    const project = await projectFolder(surroundings.folder);
    const question = { environment, to, moving, facts, evidence, project, now };
    const others = await sight.look("the gates", () => judgeGates(question));
    const entries = (evidence && (await sight.look("the evidence", () => evidence.read())))?.entries ?? [];
    for (const part of partsToAdd(environment, to)) file.addPresent(part);
    for (const [wave, { now: pin }] of Object.entries(file.pins()))
      if (pin !== pinOf(to)) file.setPins(wave, { now: pinOf(to), back: pin });
    const wished = parseEnvironment(file.environment(), file.path);
    const migrations = facts.hasRegistry ? await sight.look("rows to migrate", () => countMigrations(wished)) : [];
    const after = new Map((migrations ?? []).map((each) => [each.wave, each.after]));
    return secretsOf(environment).hide({
      environment,
      to,
      facts,
      gates: [...(judged?.gates ?? []), ...(others ?? [])],
      migrations: migrations ?? [],
      waysBack: waysBack(file.pins(), facts, (wave) => after.get(wave) ?? mirrorStates(facts, wave)),
      entries,
      unseen: sight.unseen.map(({ what, why }) => `${what}: ${why}`),
      now,
    });
  } finally {
    await evidence?.close();
    await registry?.close();
  }
}
