import { setTimeout as sleep } from "node:timers/promises";
import { environment } from "./drill-tenant.ts";
import type { Incident } from "./incident.ts";

const sealed = /^Vault at http:\/\/127\.0\.0\.1:\d+ is sealed; vault operator unseal/;

/** Vault is sealed, restarted, refuses, stalls and forgets. */
export const vaultIncidents: readonly Incident[] = [
  {
    title: "Vault is sealed and back",
    expected: "finishes by itself",
    async strike({ servers, vault, request, strikes }) {
      let back: Promise<void> | undefined;
      const before = async () => {
        await servers.sealVault();
        back = sleep(1_000).then(() => servers.startVault());
      };
      strikes(vault.set(request, { before }));
      return () => back ?? Promise.resolve();
    },
  },
  {
    title: "Vault is sealed and stays so, with changes that wait",
    expected: sealed,
    async strike({ servers, vault, request, strikes }) {
      strikes(vault.set(request, { before: () => servers.sealVault() }));
      return () => servers.startVault();
    },
  },
  {
    // The way forward asks for the keys that the release will need, and that the ledger is signed with.
    title: "Vault is sealed and stays so before the way forward, and nothing waits",
    phases: ["cutover"],
    hasWaiting: false,
    expected: sealed,
    async strike({ servers }) {
      await servers.sealVault();
      return () => servers.startVault();
    },
  },
  {
    title: "Vault is sealed and stays so before the way back, and nothing waits",
    phases: ["rollback"],
    hasWaiting: false,
    expected: "finishes by itself",
    async strike({ servers }) {
      await servers.sealVault();
      return () => servers.startVault();
    },
  },
  {
    title: "Vault is restarted",
    expected: "finishes by itself",
    async strike({ servers, vault, request, strikes }) {
      let back: Promise<void> | undefined;
      const before = async () => {
        await servers.stopVault();
        back = servers.startVault();
      };
      strikes(vault.set(request, { before }));
      return () => back ?? Promise.resolve();
    },
  },
  {
    title: "the engine's token expires",
    expected: /^Vault at \S+ does not let the token .*no longer valid.*set a valid one/,
    isOfOneTenant: true,
    async strike({ servers, vault, request, as, strikes }) {
      const made = await servers.vault("POST", "auth/token/create", { policies: ["root"], ttl: "10m" });
      const { auth } = JSON.parse(made.toString()) as { auth: { client_token: string } };
      as.vaultToken = auth.client_token;
      const before = async () => void (await servers.vault("POST", "auth/token/revoke", { token: auth.client_token }));
      strikes(vault.set(request, { before }));
    },
  },
  {
    title: "the engine's policy lets it read keys and use none",
    expected:
      /^Vault at \S+ does not let the token update \S+; grant it|^Vault at \S+ does not let the token update .*grant it/,
    isOfOneTenant: true,
    async strike({ servers, as }) {
      const policy = `path "transit-${environment}/keys/*" { capabilities = ["read"] }`;
      await servers.vault("PUT", "sys/policies/acl/drill-reads-only", { policy });
      const made = await servers.vault("POST", "auth/token/create", { policies: ["drill-reads-only"], ttl: "10m" });
      as.vaultToken = (JSON.parse(made.toString()) as { auth: { client_token: string } }).auth.client_token;
    },
  },
  {
    title: "Vault answers 429, then 500, then as ever",
    expected: "finishes by itself",
    async strike({ vault, request, strikes }) {
      strikes(vault.set(request, { status: 429 }, 2));
      strikes(vault.set(request, { status: 500, body: { errors: ["internal error"] } }, 2));
    },
  },
  {
    title: "Vault answers 503 for as long as the engine asks",
    expected: /^Vault at \S+ answered HTTP 503 for \d+ ms; see vault status .* run this again/,
    async strike({ vault, request, strikes }) {
      strikes(vault.set(request, { status: 503, body: "<html>no backend</html>" }, Infinity));
    },
  },
  {
    title: "Vault takes its time",
    expected: "finishes by itself",
    async strike({ vault, request, strikes }) {
      strikes(vault.set(request, { delayMs: 2_000 }));
    },
  },
  {
    title: "the connection to Vault is reset, three times",
    expected: "finishes by itself",
    async strike({ vault, request, strikes }) {
      strikes(vault.set(request, "reset", 3));
    },
  },
  {
    title: "the KEK is missing, and comes back with Vault's snapshot",
    phases: ["cutover", "rollback"],
    isNewTenant: true,
    expected: /^tenant \S+: the KEK kek-\S+ .* is missing; .*raft snapshot restore/,
    async strike({ servers, tenant: { tenant } }) {
      const snapshot = await servers.vault("GET", "sys/storage/raft/snapshot");
      const key = `transit-${environment}/keys/kek-${tenant}`;
      await servers.vault("POST", `${key}/config`, { deletion_allowed: true });
      await servers.vault("DELETE", key);
      return async () => {
        await servers.vault("POST", "sys/storage/raft/snapshot-force", snapshot);
        await servers.startVault(); // a restored Vault may be sealed
      };
    },
  },
  {
    title: "the KEK does not open the keyset's version any more",
    expected: /^tenant \S+: the KEK kek-\S+ .* no longer opens this version; .*min_decryption_version=1/,
    phases: ["cutover", "rollback", "rebuild"],
    async strike({ servers, tenant: { tenant } }) {
      const key = `transit-${environment}/keys/kek-${tenant}`;
      await servers.vault("POST", `${key}/rotate`);
      const read = await servers.vault("GET", key);
      const { data } = JSON.parse(read.toString()) as { data: { latest_version: number } };
      await servers.vault("POST", `${key}/config`, { min_decryption_version: data.latest_version });
      return () => servers.vault("POST", `${key}/config`, { min_decryption_version: 1 });
    },
  },
  {
    title: "a keyset holds bytes that no KEK has wrapped",
    expected: /keyset|KEK/,
    phases: ["cutover", "rollback", "rebuild"],
    isOfOneTenant: true,
    async strike({ tenant: { admin }, random }) {
      const found = await admin.query<{ encrypted: Buffer }>("SELECT encrypted FROM rc.keyset WHERE class = 'prompt'");
      const whole = found.rows[0]?.encrypted ?? Buffer.alloc(0);
      const garbled = Buffer.from(whole);
      const at = whole.length - 8 - random.below(40);
      garbled[at] = garbled[at] === 65 ? 66 : 65;
      const store = (bytes: Buffer) =>
        admin.query("UPDATE rc.keyset SET encrypted = $1 WHERE class = 'prompt'", [bytes]);
      await store(garbled);
      return () => store(whole);
    },
  },
];
