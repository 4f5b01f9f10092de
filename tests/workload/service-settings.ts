/** Vault access of a release whose bodies are sealed; the AppRole is the fleet's own. */
export interface VaultSettings {
  readonly address: string;
  readonly roleId: string;
  readonly secretId: string;
  /** Transit mount that holds the KEKs of this environment, e.g. `transit-dev`. */
  readonly transitMount: string;
}

/** What a container of the fleet is told through its environment. */
export interface ServiceSettings {
  /** Service name as in the release data, e.g. `platform-api`. */
  readonly service: string;
  /** Release id, e.g. `r1`. */
  readonly release: string;
  /** Full pin, e.g. `r1@9a0b11422fe0`: what a fenced caller is told in `X-Release`. */
  readonly pin: string;
  /** Address to listen at. @default 127.0.0.1; in a pod every address, for its peers are other pods */
  readonly host?: string;
  /** TCP port; 0 lets the system choose (tests). */
  readonly port: number;
  /** URL with `{tenant}` where the tenant's database suffix goes. */
  readonly databaseUrl: string;
  readonly registryUrl: string;
  readonly environment: string;
  readonly vault?: VaultSettings;
}

/**
 * Parses the environment of a service once, at the edge.
 * @throws Error naming every missing or malformed variable at once
 */
export function serviceSettings(env: Readonly<Record<string, string | undefined>>): ServiceSettings {
  const faults: string[] = [];
  const text = (name: string): string => {
    const value = env[name];
    if (value === undefined || value === "") faults.push(`${name} is missing`);
    return value ?? "";
  };
  const port = Number(text("PORT"));
  if (!Number.isInteger(port) || port < 0 || port > 65_535) faults.push(`PORT is ${env.PORT}: allowed are 0 to 65535`);
  const databaseUrl = text("DATABASE_URL");
  if (databaseUrl !== "" && !databaseUrl.includes("{tenant}")) {
    faults.push("DATABASE_URL has no {tenant}: it is a template, for instance .../tenant_{tenant}");
  }
  const settings: ServiceSettings = {
    service: text("SERVICE"),
    release: text("RELEASE"),
    pin: text("RELEASE_PIN"),
    ...(env.HOST === undefined ? {} : { host: text("HOST") }),
    port,
    databaseUrl,
    registryUrl: text("REGISTRY_URL"),
    environment: text("ENVIRONMENT"),
    ...(env.VAULT_ADDR === undefined
      ? {}
      : {
          vault: {
            address: text("VAULT_ADDR"),
            roleId: text("VAULT_ROLE_ID"),
            secretId: text("VAULT_SECRET_ID"),
            transitMount: text("TRANSIT_MOUNT"),
          },
        }),
  };
  if (faults.length > 0) {
    throw new Error(`The service cannot start: ${faults.join("; ")}. Set them in the container's environment.`);
  }
  return settings;
}
