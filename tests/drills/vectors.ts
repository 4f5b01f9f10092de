import { type Drill, type DrillCase, shuffled } from "./drill.ts";
import { accessCases } from "./vectors/access-cases.ts";
import { killCases } from "./vectors/kill-cases.ts";
import { lateCases } from "./vectors/late-cases.ts";
import { absenceCases, outageCases } from "./vectors/outage-cases.ts";
import { replyCases } from "./vectors/reply-cases.ts";
import { endOwnMilvus, serverCases } from "./vectors/server-cases.ts";
import { tamperCases } from "./vectors/tamper-cases.ts";
import { trafficCases } from "./vectors/traffic-cases.ts";

/** Vectors on their way from pgvector to Milvus and back, with everything failing that can fail in between. */
export const vectors: Drill = {
  name: "vectors",
  about: "pgvector to Milvus and back, bit by bit: kills, lost and false replies, outages, late requests, tampering",
  cases(random) {
    const families = [killCases, lateCases, replyCases, tamperCases, outageCases, accessCases, trafficCases];
    const shuffledFamilies = families.map((cases) => shuffled(cases, random));
    // One of each family at the beginning; those that kill Milvus or outlast the engine's patience take longest and come last.
    const first = shuffledFamilies.flatMap(([one]) => (one === undefined ? [] : [one]));
    const rest = shuffledFamilies.flatMap((cases): readonly DrillCase[] => cases.slice(1));
    return [...first, ...shuffled(rest, random), ...shuffled([...absenceCases, ...serverCases], random)];
  },
  close: endOwnMilvus,
};
