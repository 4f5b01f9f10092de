import type { RefusalCase } from "./refusal-case.ts";
import { r1, r2, stackText } from "./refusal-world.ts";
import type { RefusalWorld } from "./refusal-world.ts";

const toR2 = (world: RefusalWorld) => world.writeStackFile(stackText(r2, r1));
const nowhere = "http://127.0.0.1:9";
const badToken = "hvs.notATokenOfThisVault";
/** Bytes that nobody is told: a token with hardly any rights. */
let weakToken = "";

/** A Vault that is closed, gone, or does not let us in: the first sealed row is far away, and the refusal comes now. */
export const vaultCases: readonly RefusalCase[] = [
  {
    title: "a sealed Vault, by preview and by a promotion",
    on: "r1",
    arrange: async (world) => {
      await world.servers.seal();
    },
    attempts: [
      {
        command: ["promote", "r2", "--env", "dev"],
        exitCode: 2,
        says: [/blocker vault-healthy/, /Vault of region local: sealed/, /unseal/],
      },
    ],
    mend: (world) => world.servers.unseal(),
  },
  {
    title: "a sealed Vault, by a plain update",
    on: "r1",
    async arrange(world) {
      await toR2(world);
      await world.servers.seal();
    },
    attempts: [
      { command: "up", says: [/region local: Vault at http:\/\/\S+ is sealed/, /vault operator unseal -address=/] },
      { command: "up now", says: [/is sealed/, /vault operator unseal/] },
    ],
    mend: (world) => world.servers.unseal(),
  },
  {
    title: "a Vault that does not answer",
    on: "r1",
    arrange: toR2,
    attempts: [
      {
        command: "preview",
        variables: { RC_VAULT_ADDR: nowhere },
        says: [/region local: Vault at http:\/\/127\.0\.0\.1:9 is unreachable/, /check that it runs: curl/],
      },
    ],
  },
  {
    title: "a promotion while Vault does not answer",
    on: "r1",
    attempts: [
      {
        command: ["promote", "r2", "--env", "dev"],
        variables: { RC_VAULT_ADDR: nowhere },
        exitCode: 2,
        says: [/blocker vault-healthy/, /no answer from http:\/\/127\.0\.0\.1:9/],
      },
    ],
  },
  {
    title: "a token that Vault does not know",
    on: "r1",
    arrange: toR2,
    attempts: [
      {
        command: "preview",
        variables: { RC_VAULT_TOKEN: badToken },
        says: [/region local: Vault at \S+ does not let the token/, /no longer valid/, /or set a valid one/],
      },
    ],
    secrets: [badToken],
  },
  {
    title: "a token that may not use the keys",
    on: "r1",
    async arrange(world) {
      const made = await world.servers.vault("POST", "auth/token/create", { policies: ["default"], ttl: "1h" });
      weakToken = (made as { auth: { client_token: string } }).auth.client_token;
      process.env["RC_DRILL_WEAK_TOKEN"] = weakToken;
      await world.writeStackFile(stackText(r2, r1).replace("env:RC_VAULT_TOKEN", "env:RC_DRILL_WEAK_TOKEN"));
    },
    attempts: [
      {
        command: "preview",
        says: [/region local: Vault at \S+ does not let the token list transit-dev\/keys/, /capabilities = \["list"\]/],
      },
    ],
    async mend() {
      delete process.env["RC_DRILL_WEAK_TOKEN"];
    },
  },
  {
    title: "a KEK that is gone while there are rows that it has sealed",
    on: "r2",
    async arrange(world) {
      // As after a cutover whose route was not pointed yet: the tenant still has to move, and its rows are sealed.
      await world.servers.sql(
        "rc_registry",
        `UPDATE registry.route SET release = 'r1', pin = '${r1}' WHERE tenant = 'acme'`,
      );
      await world.servers.vault("POST", "transit-dev/keys/kek-acme/config", { deletion_allowed: true });
      await world.servers.vault("DELETE", "transit-dev/keys/kek-acme");
    },
    attempts: [
      {
        command: "preview",
        says: [
          /region local: 1 tenants have sealed rows and no KEK/,
          /transit-dev\/keys\/kek-acme/,
          /snapshot restore/,
        ],
      },
      { command: "up now", says: [/kek-acme/, /restore Vault/] },
    ],
    isLast: true,
  },
];
