import type { FaultPoint } from "../../../migrations/mirror/fault-point.ts";
import type { JobKind } from "../../../migrations/mirror/job.ts";
import { onMilvus, onPgvector } from "../../migrations/vector-store/vector-fixture.ts";
import type { DrillCase } from "../drill.ts";
import { judgeVectors } from "./judge-vectors.ts";
import { type Beginning, vectorCase } from "./vector-case.ts";

/** Where Milvus and PostgreSQL can be of two minds: acknowledged there and not committed here, or the other way round. */
const points: readonly FaultPoint[] = [
  "capture.after",
  "chunk.copy.before",
  "chunk.copy.after",
  "chunk.commit.before",
  "chunk.commit.after",
  "verify.before",
  "verify.after",
  "drain.commit.before",
  "drain.commit.after",
  "position.before",
  "cutover.flip",
  "cutover.unlock.after",
  "retire.after",
];

/** A run is killed at a named point, the users go on writing, and the next run ends the work. */
export const killCases: readonly DrillCase[] = points.flatMap((point) => [
  killCase(point, "forwards"),
  killCase(point, "backwards"),
]);

function killCase(point: FaultPoint, direction: "forwards" | "backwards"): DrillCase {
  const isForwards = direction === "forwards";
  const fatal: JobKind = point.startsWith("cutover.")
    ? "cutover"
    : point.startsWith("retire.")
      ? "finalize"
      : "prepare";
  const isCopy = /^(capture|chunk|verify|position)/.test(point);
  const from: Beginning = isForwards ? "off" : isCopy ? "retired" : "switched";
  return vectorCase(`the run is killed at ${point} ${direction}`, from, async ({ tenant }) => {
    const release = isForwards ? onMilvus : onPgvector;
    if (from === "retired") await tenant.restoreSource();
    const kinds: JobKind[] = fatal === "finalize" ? ["prepare", "cutover", "finalize"] : ["prepare", "cutover"];
    for (const kind of kinds) {
      await tenant.change();
      if (kind === fatal) {
        await tenant.kill(kind, release, point);
        await tenant.change();
      }
      await tenant.move(kind, release);
    }
    if (fatal === "finalize") return judgeVectors(tenant, isForwards ? "retired" : "off");
    await judgeVectors(tenant, isForwards ? "switched" : "mirroring");
  });
}
