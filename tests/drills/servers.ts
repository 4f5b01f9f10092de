import { type Drill, shuffled } from "./drill.ts";
import { incidentCase } from "./incident.ts";
import { badItemCase } from "./bad-item.ts";
import { postgresIncidents } from "./postgres-incidents.ts";
import { postgresLimitIncidents } from "./postgres-limit-incidents.ts";
import { vaultIncidents } from "./vault-incidents.ts";

/** PostgreSQL and Vault crash, fill up, refuse, stall and forget, under a run and its tenant's users. */
export const servers: Drill = {
  name: "servers",
  about: "PostgreSQL and Vault crash, fill up, refuse, stall and forget at a moment of the way that the seed picks",
  hasOwnServers: true,
  cases: (random) =>
    shuffled(
      [
        ...[...postgresIncidents, ...postgresLimitIncidents, ...vaultIncidents].map((incident) =>
          incidentCase(incident),
        ),
        badItemCase,
      ],
      random,
    ),
};
