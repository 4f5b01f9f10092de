/** Relative sizes of tenants: a few large ones and a long tail, as platforms have them. Repeats beyond ten tenants. */
const shares = [25, 18, 13, 10, 8, 7, 6, 5, 4, 4] as const;

/** Divides `rows` over so many tenants; the parts add up to `rows` exactly. */
export function divideRows(rows: number, tenants: number): number[] {
  const weights = Array.from({ length: tenants }, (_, index) => shares[index % shares.length] ?? 1);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let passed = 0;
  let given = 0;
  return weights.map((weight) => {
    passed += weight;
    const part = Math.round((rows * passed) / total) - given;
    given += part;
    return part;
  });
}
