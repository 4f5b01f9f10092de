import { PlatformWorld } from "./platform-world.ts";
import { type Bench, interleave, median, type Needs, type Ratio, rounded } from "./ratio.ts";
import { copySeedTenant, fillSeedTenant, forgetVisits, promptsPerTenant, registerCopies } from "./tenant-copies.ts";

export const needs: Needs = "nothing";

/**
 * `pulumi preview` of a promotion that counts the rows of every tenant in its own database, for the first time and again;
 * and of a platform that stays where it is with ten times as many tenants in the registry. All against the preview of an
 * empty program. On a platform of its own. `--rows`: tenants with databases. @default 1000
 */
export const bench: Bench = async ({ rounds, rows = 1000 }) => {
  const world = await PlatformWorld.open();
  try {
    const postgresUrl = world.environment["RC_POSTGRES_URL"] ?? "";
    await world.run("up");
    await fillSeedTenant(postgresUrl);
    await copySeedTenant(postgresUrl, rows);
    await world.pin("r2");
    const judge = (text: string) => {
      const told = `${rows} of ${rows} tenants move`;
      const copied = `prepare copies ${rows * promptsPerTenant} rows`;
      if (!text.includes(told) || !text.includes(copied))
        throw new Error(`the preview does not say "${told}" and "${copied}":\n${text}`);
    };
    const counted = await compare(world, "preview.counts", 1.5, rounds, judge, () => forgetVisits(postgresUrl));
    const again = await compare(world, "preview.counts-again", 1.5, rounds, judge);
    const registered = rows * 10;
    await registerCopies(
      postgresUrl,
      Array.from({ length: registered - rows }, (_, nth) => `listed-${nth}`),
    );
    await world.pin("r1");
    const listed = await compare(world, "preview.registry", 2, rounds, (text) => {
      const told = `0 of ${registered} tenants move`;
      if (!text.includes(told)) throw new Error(`the preview does not say "${told}":\n${text}`);
    });
    return [
      { ...counted, tenants: rows },
      { ...again, tenants: rows },
      { ...listed, tenants: registered },
    ];
  } finally {
    await world.close();
  }
};

async function compare(
  world: PlatformWorld,
  name: string,
  goal: number,
  rounds: number,
  judge: (text: string) => void,
  before = async () => {},
): Promise<Ratio> {
  const ours: number[] = [];
  const theirs: number[] = [];
  // The first of each compiles and fills caches.
  judge((await world.run("preview")).text);
  await world.runEmpty("preview");
  await interleave(
    rounds,
    async () => {
      await before();
      const { text, seconds } = await world.run("preview");
      judge(text);
      ours.push(seconds);
    },
    async () => void theirs.push((await world.runEmpty("preview")).seconds),
  );
  return {
    name,
    ratio: rounded(median(ours) / median(theirs)),
    goal,
    better: "lower",
    rounds,
    previewSeconds: rounded(median(ours)),
    emptyPreviewSeconds: rounded(median(theirs)),
    allPreviewSeconds: ours.map(rounded),
    allEmptyPreviewSeconds: theirs.map(rounded),
  };
}
