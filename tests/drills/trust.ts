import type { SeededRandom } from "../workload/seeded-random.ts";
import type { Drill } from "./drill.ts";
import { shuffled } from "./drill.ts";
import { approvalCases } from "./trust/approval-cases.ts";
import { continuedCases } from "./trust/continued-cases.ts";
import { closeSigners } from "./trust/signers.ts";
import { commentCases } from "./trust/comment-cases.ts";
import { evidenceCases } from "./trust/evidence-cases.ts";
import { gateCases } from "./trust/gate-cases.ts";
import { historyCases } from "./trust/history-cases.ts";
import { signOffCases } from "./trust/sign-off-cases.ts";

/** What people and files may try to make a promotion, a rollback or a reader believe. */
export const trust: Drill = {
  name: "trust",
  about: "forged approvals, edited evidence, cut histories, clocks set back, comments and notes that want to be more",
  cases(random: SeededRandom) {
    const kinds = [evidenceCases, approvalCases, historyCases, gateCases, commentCases, signOffCases, continuedCases];
    const groups = kinds.map((cases) => shuffled(cases, random));
    // One of each kind in turn, so that a part of them says most.
    const longest = Math.max(...groups.map(({ length }) => length));
    return Array.from({ length: longest }, (_, nth) => groups.flatMap((group) => group[nth] ?? [])).flat();
  },
  close: closeSigners,
};
