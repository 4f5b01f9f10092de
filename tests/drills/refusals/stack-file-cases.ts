import type { RefusalCase } from "./refusal-case.ts";
import { r1, r2, stackText } from "./refusal-world.ts";
import type { RefusalWorld } from "./refusal-world.ts";

const literal = "hvs.CAESIliteralSecretOfTheRefusals";

const rewriting =
  (from: string, to: string, now = r1, back = "none") =>
  (world: RefusalWorld) =>
    world.writeStackFile(stackText(now, back).replaceAll(from, to));

/** Stack files that say what cannot be: every fault at once, and no secret repeated. */
export const stackFileCases: readonly RefusalCase[] = [
  {
    title: "a misspelt key",
    on: "r1",
    arrange: rewriting("present:", "presnt:"),
    attempts: [
      { command: "preview", says: [/presnt/, /one of the keys .*present/, /write present instead of presnt/] },
    ],
  },
  {
    title: "several faults of a stack file at once",
    on: "r1",
    arrange: async (world) => {
      const text = stackText("r2", r1).replace("runtime: docker", "runtime: podman");
      await world.writeStackFile(text.replace("selector: { rest: true }", "selector: { rest: true, tags: [a] }"));
    },
    attempts: [
      {
        command: "preview",
        says: [/has \d faults/, /1\. /, /"podman"/, /one of docker, kubernetes/, /exactly one of ids, tags/, /"r2"/],
      },
      { command: ["lint"], exitCode: 1, says: [/"podman"/, /exactly one of ids, tags/] },
    ],
  },
  {
    title: "a secret in the place of a reference",
    on: "r1",
    arrange: rewriting("env:RC_VAULT_TOKEN", literal),
    attempts: [
      { command: "preview", says: [/vault\.token/, /a literal value, not shown/, /env:NAME or vault:/, /into Vault/] },
      { command: ["check", "r2", "--env", "dev"], exitCode: 1, says: [/a literal value, not shown/] },
    ],
    secrets: [literal],
  },
  {
    title: "a reference to a variable that is not set",
    on: "r1",
    arrange: (world) => world.writeStackFile(stackText(r2, r1)),
    attempts: [
      {
        command: "preview",
        variables: { RC_VAULT_TOKEN: undefined },
        says: [/env:RC_VAULT_TOKEN/, /is not set/, /source \.local\/env/],
      },
      {
        command: ["promote", "r2", "--env", "dev"],
        variables: { RC_POSTGRES_URL: undefined },
        exitCode: 1,
        says: [/env:RC_POSTGRES_URL/, /is not set/],
      },
    ],
  },
  {
    title: "a release that needs Vault where none is present",
    on: "r1",
    arrange: rewriting("vault: true", "vault: false", r2, r1),
    attempts: [{ command: "preview", says: [/pins\.canary\.now/, /runs without vault/, /set present\.vault to true/] }],
  },
  {
    title: "a protected node that leaves the program",
    on: "r1",
    arrange: async (world) => {
      const text = stackText(r1, "none").replace(/ +- \{ name: canary.*\n/, "");
      await world.writeStackFile(text.replace(/ +canary: \{ now.*\n/, ""));
    },
    attempts: [
      {
        command: "preview",
        says: [/dev: wave canary is protected/, /put it back/, /coordinator decommission canary --env dev/],
      },
    ],
  },
  {
    title: "an image that nobody has fetched",
    on: "r1",
    arrange: async (world) => {
      await world.writeStackFile(
        stackText(r2, r1).replace("images: env:RC_IMAGES_FILE", "images: env:RC_OTHER_IMAGES"),
      );
    },
    attempts: [
      {
        command: "preview",
        variables: { RC_OTHER_IMAGES: "/nowhere/images.json" },
        says: [/images: \/nowhere\/images\.json cannot be read/, /make up|images resolve/],
      },
    ],
  },
];
