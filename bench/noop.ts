import { PlatformWorld } from "./platform-world.ts";
import { type Bench, interleave, median, type Needs, type Ratio, rounded } from "./ratio.ts";
import { copySeedTenant, fillSeedTenant } from "./tenant-copies.ts";

export const needs: Needs = "nothing";

/**
 * `pulumi up` when there is nothing to do, with every tenant migrated to R2, against `up` of an empty program; and how
 * large the state is. On a platform of its own. `--rows`: tenants. @default 1000
 */
export const bench: Bench = async ({ rounds, rows = 1000 }) => {
  const world = await PlatformWorld.open();
  try {
    const postgresUrl = world.environment["RC_POSTGRES_URL"] ?? "";
    await world.run("up");
    await fillSeedTenant(postgresUrl);
    await world.pin("r2");
    await world.run("up");
    await copySeedTenant(postgresUrl, rows);
    const ours: number[] = [];
    const theirs: number[] = [];
    await world.run("up");
    await world.runEmpty("up");
    await interleave(
      rounds,
      async () => {
        const { text, seconds } = await world.run("up");
        if (!/\d+ unchanged/.test(text) || /\d+ (created|updated|replaced|deleted)/.test(text))
          throw new Error(`the update was to do nothing:\n${text}`);
        ours.push(seconds);
      },
      async () => void theirs.push((await world.runEmpty("up")).seconds),
    );
    const bytes = await world.stateBytes();
    const lines: Ratio[] = [
      {
        name: "noop",
        ratio: rounded(median(ours) / median(theirs)),
        goal: 1.5,
        better: "lower",
        tenants: rows,
        rounds,
        upSeconds: rounded(median(ours)),
        emptyUpSeconds: rounded(median(theirs)),
        allUpSeconds: ours.map(rounded),
        allEmptyUpSeconds: theirs.map(rounded),
      },
      {
        name: "noop.state-kib",
        ratio: rounded(bytes / 1024),
        goal: 64,
        better: "lower",
        tenants: rows,
        stateBytes: bytes,
      },
    ];
    return lines;
  } finally {
    await world.close();
  }
};
