import type { StackReport } from "./stack-report.ts";

/** What a field of a report is: a kind, a list of one shape, or an object. */
type Shape = "text" | "number" | "flag" | readonly [Shape] | { readonly [field: string]: Shape } | Optional | Named;
interface Optional {
  readonly optional: Shape;
}
interface Named {
  readonly named: Shape;
}

const optional = (shape: Shape): Optional => ({ optional: shape });
const state: Shape = { mirror: "text", position: "text", tenants: "number", rows: "number", dirty: "number" };
const change = { name: "text", from: optional("text"), to: optional("text") } as const;

/** Fields that the comment reads; the JSON may come from a job that ran somebody's branch. */
const stack: Shape = {
  format: "number",
  environment: "text",
  outcome: "text",
  blockers: ["text"],
  unseen: [{ what: "text", why: "text" }],
  pins: { named: { now: "text", back: "text" } },
  moves: [
    {
      waves: ["text"],
      fromPin: optional("text"),
      toPin: "text",
      diff: {
        from: optional("text"),
        to: "text",
        services: [change],
        schema: { from: optional("text"), expandTo: "text", contractTo: "text" },
        flags: [{ key: "text", from: "flag", to: "flag" }],
        mirrors: [{ mirror: "text", to: "text" }],
      },
    },
  ],
  positions: [state],
  migrations: [
    {
      wave: "text",
      pin: "text",
      tenants: "number",
      moving: "number",
      dirty: "number",
      mirrors: [
        {
          mirror: "text",
          step: "text",
          tenants: "number",
          rows: "number",
          bytes: "number",
          diskBytes: "number",
          seconds: optional("number"),
          rateFrom: "text",
          isFinalized: "flag",
        },
      ],
      after: [state],
      obstacles: ["text"],
    },
  ],
  waysBack: [
    {
      wave: "text",
      from: "text",
      to: optional("text"),
      outcome: "text",
      reasons: ["text"],
      seconds: optional("number"),
      secondsAfterFinalize: optional("number"),
      asOf: optional("text"),
    },
  ],
  changes: optional([
    {
      op: "text",
      type: "text",
      name: "text",
      properties: [
        { path: "text", from: optional("text"), to: optional("text"), forcesReplacement: "flag", isSecret: "flag" },
      ],
    },
  ]),
  counts: optional({ create: "number", update: "number", replace: "number", delete: "number" }),
  risks: [{ kind: "text", text: "text" }],
  gates: [
    {
      id: "text",
      title: "text",
      outcome: "text",
      evidence: "text",
      eligibleAt: optional("text"),
      canOverride: "flag",
      override: optional("text"),
    },
  ],
  remarks: ["text"],
  releaseNotes: ["text"],
  digest: optional("text"),
  approval: optional({ minimum: "number", roles: ["text"], command: "text" }),
};

const outcomes = ["go", "error", "no-go", "needs-human"];

/**
 * The reports in what `coordinator report --json` printed.
 * @throws naming the file, the field, what stands there and what may
 */
export function parseReports(text: string, path: string): StackReport[] {
  const mend = `write it anew: coordinator report --env <environment> --json > ${path}`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(`${path} is no JSON; ${mend}`);
  }
  const { stacks, error } = (typeof value === "object" && value !== null ? value : {}) as {
    stacks?: unknown;
    error?: unknown;
  };
  if (!Array.isArray(stacks)) {
    throw new Error(
      `${path} holds no reports (${typeof error === "string" ? error.slice(0, 300) : "no list stacks"}); ${mend}`,
    );
  }
  const faults = stacks.flatMap((each, index) => faultsIn(each, stack, `stacks[${index}]`));
  for (const [index, each] of (stacks as Partial<StackReport>[]).entries()) {
    if (faults.length > 0) break;
    if (each.format !== 1) faults.push(`stacks[${index}].format is ${each.format}, allowed is 1`);
    if (!outcomes.includes(each.outcome ?? ""))
      faults.push(`stacks[${index}].outcome is no outcome, allowed are ${outcomes.join(", ")}`);
  }
  if (faults.length === 0) return stacks as StackReport[];
  throw new Error(`${path} is no report of this coordinator: ${faults.slice(0, 10).join("; ")}; ${mend}`);
}

function faultsIn(value: unknown, shape: Shape, path: string): string[] {
  const kinds = { text: "string", number: "number", flag: "boolean" } as const;
  const seen = value === null ? "null" : Array.isArray(value) ? "a list" : typeof value;
  if (typeof shape === "string") {
    const isRight = typeof value === kinds[shape] && (shape !== "number" || Number.isFinite(value));
    return isRight ? [] : [`${path} is ${seen}, allowed is a ${kinds[shape]}`];
  }
  if (Array.isArray(shape)) {
    if (!Array.isArray(value)) return [`${path} is ${seen}, allowed is a list`];
    return value.flatMap((each, index) => faultsIn(each, (shape as readonly [Shape])[0], `${path}[${index}]`));
  }
  if ("optional" in shape) return value === undefined || value === null ? [] : faultsIn(value, shape.optional, path);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return [`${path} is ${seen}, allowed is an object`];
  if ("named" in shape) {
    return Object.entries(value).flatMap(([name, each]) => faultsIn(each, shape.named, `${path}.${name}`));
  }
  return Object.entries(shape).flatMap(([field, each]) =>
    faultsIn((value as Record<string, unknown>)[field], each, `${path}.${field}`),
  );
}
