import type { SeededRandom } from "./seeded-random.ts";

/** Stands in every body of the generator: plain text of ours that must not be left anywhere once bodies are sealed. */
export const TRAFFIC_MARKER = "rc-traffic-";

/** One marker, as a pattern that JavaScript, PostgreSQL and Python read alike. */
export const MARKER_PATTERN = "rc-traffic-[0-9]+x[0-9a-f]+-[0-9]+";

/** Every Idempotency-Key of the generator begins with it. */
export const KEY_PREFIX = "traffic-";

export function markerOf(run: string, seq: number): string {
  return `${TRAFFIC_MARKER}${run}-${seq}`;
}

export function keyOf(run: string, seq: number): string {
  return `${KEY_PREFIX}${run}-${seq}`;
}

/** Run and number of the operation that wrote a marker. */
export function operationOf(marker: string): { run: string; seq: number } {
  const dash = marker.lastIndexOf("-");
  return { run: marker.slice(TRAFFIC_MARKER.length, dash), seq: Number(marker.slice(dash + 1)) };
}

const SUBJECTS = [
  "The build", "Our parser", "This function", "The migration", "A failing test", "The cache", "The queue", "Die Abfrage",
  "La requête", "このテスト", "The handler", "Every retry", "The index", "A worker 🛠",
]; // prettier-ignore
const VERBS = [
  "returns", "rejects", "loses", "retries", "serialises", "skips", "logs", "überschreibt", "renvoie", "delays", "joins",
  "copies", "validates",
]; // prettier-ignore
const OBJECTS = [
  "the first row twice", "an empty list when the tenant has no prompts", "every header after a redirect",
  "the time zone of the user", "two transactions at once", "`null` instead of an error", "den letzten Wert", "une clé étrangère",
  "half of the batch", "a stack trace without line numbers", "the wrong branch after a rebase", "10,000 rows in one request",
]; // prettier-ignore
const ENDINGS = [
  "Explain why.",
  "How do I test that?",
  "Rewrite it.",
  "Show a diff.",
  "Bitte kurz.",
  "Keep the names.",
];

/** Sentences of a text file; fragments are left out. */
export function sentencesOf(text: string): string[] {
  return text
    .replaceAll("\0", "")
    .toWellFormed()
    .split(/(?<=[.!?])\s+|\n{2,}/)
    .map((sentence) => sentence.replaceAll(/\s+/g, " ").trim())
    .filter((sentence) => sentence.length >= 20 && sentence.length <= 600);
}

/** A fresh text with a marker that no other text has: one to twelve sentences, now and then several pages. */
export function bodyText(random: SeededRandom, corpus: readonly string[], marker: string): string {
  const sentences = random.next() < 0.03 ? 60 + random.below(120) : 1 + random.below(12);
  const text = Array.from({ length: sentences }, () => (corpus.length > 0 ? random.pick(corpus) : sentence(random)));
  text.splice(random.below(text.length + 1), 0, `(${marker})`);
  return `${text.join(" ")} ${random.pick(ENDINGS)}`;
}

function sentence(random: SeededRandom): string {
  return `${random.pick(SUBJECTS)} ${random.pick(VERBS)} ${random.pick(OBJECTS)}.`;
}
