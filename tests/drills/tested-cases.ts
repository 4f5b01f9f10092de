/** Seed of the cases that `make test` runs; `npm run drill -- NAME --seed 1` begins with the same ones. */
export const testedSeed = 1;

/** How many cases of each drill `make test` runs: its first ones. */
export const testedCases: Readonly<Record<string, number>> = {
  "kill-points": 8,
  "lost-ack": 8,
  servers: 10,
  "kill-random": 6,
  concurrent: 6,
  leak: 5,
  paused: 2,
  traffic: 3,
  fence: 2,
  tamper: 5,
  "bad-input": 4,
  "round-trip": 1,
  restore: 5,
  "self-test": 3,
  refusals: 8,
  trust: 200,
  vectors: 7,
  clusters: 4,
};
