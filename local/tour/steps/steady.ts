import { copyFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { command, pulumi } from "../command.ts";
import { readEnvironment, trackedFile } from "../stack-file.ts";
import type { TourStep } from "../step.ts";
import { checkTraffic } from "../traffic.ts";

/** The end: the world is what the tracked stack file says, a preview shows no change, the working tree is clean. */
export const steady: TourStep = {
  name: "steady",
  title: "the tracked stack file describes the world, and nothing else has changed",
  always: true,

  async run(context, report) {
    if (report.isRepeat) {
      // The checkout may have moved on since: bring the platform to what its stack file says now.
      await copyFile(trackedFile(context), context.stackFile);
      await pulumi(context, ["up", "--yes", "--skip-preview"]);
    }
    await checkTraffic(context, report, "at the end");
    report.check(
      isDeepStrictEqual(await readEnvironment(context.stackFile), await readEnvironment(trackedFile(context))),
      "the stack file that the tour moved says what the tracked Pulumi.dev.yaml says",
    );
    const before = await command(context, "git", ["status", "--porcelain"]);
    const preview = await command(context, "pulumi", [
      "preview",
      "--stack",
      "dev",
      "--non-interactive",
      "--expect-no-changes",
    ]);
    report.count("previewSeconds", Math.round(preview.seconds * 10) / 10);
    report.check(true, "`pulumi preview -s dev --expect-no-changes` sees no change");
    const after = await command(context, "git", ["status", "--porcelain"]);
    report.check(before.stdout === after.stdout, "the preview leaves the working tree as it was");
  },
};
