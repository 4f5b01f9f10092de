import { getRelease } from "../../releases/catalog.ts";
import { pinOf } from "../../releases/pin.ts";

/** A sound `release-coordinator:environment` of a laptop, as it stands in a stack file: plain JSON, nothing filled in. */
export function exampleEnvironment() {
  const pins = { now: pinOf(getRelease("r2")), back: pinOf(getRelease("r1")) };
  return {
    name: "dev",
    runtime: "docker",
    regions: [
      {
        name: "local",
        postgres: { kind: "external", url: "env:RC_POSTGRES_URL" },
        vault: { kind: "external", address: "env:RC_VAULT_ADDR", token: "env:RC_VAULT_TOKEN" },
      },
    ],
    docker: { host: "env:DOCKER_HOST", basePort: "env:RC_FLEET_BASE_PORT" },
    images: "env:RC_IMAGES_FILE",
    gateway: { url: "env:RC_GATEWAY_URL" },
    flags: { file: "env:RC_FLAGS_FILE" },
    present: { vault: true, milvus: false },
    waves: [
      { name: "canary", selector: { tags: ["canary"] } },
      { name: "general", selector: { rest: true } },
    ],
    pins: { canary: { ...pins }, general: { ...pins } },
    finalize: { canary: ["prompt-encryption"] },
    tenants: [{ id: "acme", tags: ["canary"] }, { id: "borealis" }],
    windows: ["mon-thu 09:00-16:00 Europe/Berlin"],
    approvals: { promotion: { minimum: 1, roles: ["release-manager"] }, finalize: { minimum: 2 } },
    failureBudget: { maxFailedPercent: 5 },
    backup: { kind: "dump", to: "env:RC_BACKUP_FOLDER", keepDays: 7 },
    planned: { r2: "2027-03-01", r3: "2027-06-01" },
  };
}

/** A copy with one place set, or removed when the value is undefined. Lists and objects on the way must exist. */
export function withValue<Document>(document: Document, path: readonly PropertyKey[], value: unknown): Document {
  // Through JSON: structuredClone keeps two places that share one object shared.
  const copy = JSON.parse(JSON.stringify(document)) as Document;
  let place = copy as unknown as Record<PropertyKey, unknown>;
  for (const key of path.slice(0, -1)) place = place[key] as Record<PropertyKey, unknown>;
  const last = path.at(-1) as PropertyKey;
  if (value === undefined) delete place[last];
  else place[last] = value;
  return copy;
}
