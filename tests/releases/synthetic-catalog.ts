import fc from "fast-check";
import { getRelease } from "../../releases/catalog.ts";
import type { Release } from "../../releases/release.ts";

/** A catalog of `length` releases, each after the one before, each moving `mirrorsEach` mirrors; it passes every check. */
export function chainOf(length: number, mirrorsEach = 1): readonly Release[] {
  const template = getRelease("r2");
  const revision = (number: number) => String(number).padStart(4, "0");
  return Array.from({ length }, (_, index): Release => {
    const id = `r${index + 1}`;
    const before = index === 0 ? id : `r${index}`;
    return {
      ...template,
      id,
      version: `${index + 1}.0.0`,
      schema: {
        expandTo: revision(2 * index + 1),
        contractTo: revision(2 * index + 2),
        oldestOn: { expand: before, contract: id },
      },
      data: Array.from({ length: mirrorsEach }, (_unused, mirror) => ({
        mirror: `mirror-${index + 1}-${mirror + 1}`,
        to: "sink",
        isRebuildable: true,
        title: "A mirror",
      })),
      requires: { ...template.requires, releases: index === 0 ? [] : [before], apis: {} },
    };
  });
}

/** Any state of the named mirrors, counts of every size. */
export function mirrorStates(mirrors: readonly string[]) {
  return fc.array(
    fc.record({
      mirror: fc.constantFrom(...mirrors, "unknown-mirror"),
      position: fc.constantFrom("off" as const, "mirroring" as const, "switched" as const, "retired" as const),
      tenants: fc.nat(5000),
      rows: fc.nat(2_000_000_000),
      dirty: fc.nat(100_000),
      rateRowsPerSecond: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true }), { nil: undefined }),
    }),
    { maxLength: 6 },
  );
}
