import { z } from "zod";
import { explainValue, faultAt } from "./fault.ts";
import type { Fault } from "./fault.ts";
import type { Release } from "./release.ts";
import { closed, slug, text, whole } from "./schema.ts";

/**
 * How requests that belong to no tenant come to a release, in steps. Those of a tenant are never split: its cutover decides
 * which release may read and write for it, and the other one is fenced.
 */
export const trafficSchema = closed({
  /** What is split: a path at the gateway with all below it, and the service that answers it in this release and in the one before. */
  paths: z
    .array(
      closed({
        path: text(/^(\/[a-z0-9][a-z0-9.-]*)+$/, "a path such as /healthz, no slash at its end"),
        service: slug,
      }),
      {
        error: "a list of paths",
      },
    )
    .min(1, { error: "at least one path" }),
  /** In their order. Those below 100 percent come before any tenant moves, the last one when all have moved. */
  steps: z
    .array(
      closed({
        /** Share of the requests that the release gets; the release before gets the rest. */
        percent: whole(1, 100, "percent"),
        /** How long it gets them before its gates are asked; no update waits that long. */
        soakMinutes: whole(0, 10_080, "minutes"),
        /** Gates of the release with a query, judged when the soak has ended. */
        gates: z.array(slug, { error: "a list of gates" }),
      }),
      { error: "a list of steps" },
    )
    .min(1, { error: "at least one step" }),
});

export type Traffic = z.infer<typeof trafficSchema>;

/** Faults inside a release's traffic: steps that do not rise to 100, gates without a query, paths that no gateway can send on. */
export function trafficFaults(release: Release): Fault[] {
  const { traffic, gates, services } = release;
  if (traffic === undefined) return [];
  const fault = (path: string, seen: unknown, allowed: string, mend: string): Fault =>
    faultAt(
      [release.id, `traffic.${path}`],
      explainValue(seen),
      { allowed, mend: `${mend} (releases/${release.id}.ts)` },
      release.id,
    );
  const judged = gates.filter(({ query, limit }) => query !== undefined && limit !== undefined).map(({ id }) => id);
  const behind = services.filter(({ kind }) => kind === "gateway").flatMap(({ dependsOn }) => dependsOn);
  const percents = traffic.steps.map(({ percent }) => percent);
  const steps = traffic.steps.flatMap(({ percent, gates: asked }, index) => [
    ...(index > 0 && percent <= (percents[index - 1] ?? 0)
      ? [
          fault(
            `steps.${index}.percent`,
            percent,
            `more than ${percents[index - 1]}, the step before`,
            "let the steps rise",
          ),
        ]
      : []),
    ...asked
      .filter((id) => !judged.includes(id))
      .map((id) =>
        fault(
          `steps.${index}.gates`,
          id,
          `a gate of the release with query and limit: ${judged.join(", ") || "there is none"}`,
          "name such a gate, or give it a query and a limit",
        ),
      ),
  ]);
  const last = percents.at(-1);
  return [
    ...steps,
    ...(last === 100 ? [] : [fault("steps", last, "a last step of 100 percent", "add the flip, percent: 100")]),
    ...traffic.paths.flatMap(({ path, service }, index) => [
      ...(behind.includes(service)
        ? []
        : [
            fault(
              `paths.${index}.service`,
              service,
              `a service behind the gateway: ${behind.join(", ")}`,
              "name one of them",
            ),
          ]),
      ...(path === "/tenants" || path.startsWith("/tenants/")
        ? [fault(`paths.${index}.path`, path, "a path outside of /tenants", "leave tenants to their cutover")]
        : []),
      ...(traffic.paths.findIndex((other) => other.path === path) < index
        ? [fault(`paths.${index}.path`, path, "a path that stands there once", "remove one")]
        : []),
    ]),
  ];
}
