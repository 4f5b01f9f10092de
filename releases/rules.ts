// The three questions people ask of releases. Pure: the same releases and facts give the same answer, and a "no" is an answer.
export { compatibility } from "./compatibility.ts";
export { promotion } from "./promotion.ts";
export type { PromotionFacts } from "./promotion.ts";
export { rollback, rollbackBudgetMinutes } from "./rollback.ts";
export type { RollbackFacts, RollbackVerdict } from "./rollback.ts";
