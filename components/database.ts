import { Database as PostgresDatabase } from "@pulumi/postgresql/database.js";
import { GrantRole } from "@pulumi/postgresql/grantRole.js";
import { Provider } from "@pulumi/postgresql/provider.js";
import { Role } from "@pulumi/postgresql/role.js";
import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random/randomPassword.js";

export interface DatabaseArgs {
  /** `postgresql://user:password@host:port/postgres`, a login that may create roles and databases; a secret. */
  readonly url: string;
  /** Database roles of the releases' services, e.g. `platform_r1`. They own nothing: ownership would defeat the fence. */
  readonly releaseRoles: readonly string[];
}

/** A login whose password only the state (encrypted) and the server know. */
export interface DatabaseLogin {
  readonly role: string;
  /** A secret. */
  readonly password: pulumi.Output<string>;
}

/**
 * Roles and the registry database of one region's PostgreSQL. Tenant databases are data (see `migrations/tenants.ts`),
 * not resources. Everything here is protected: dropping it would take tenants' access or the registry away.
 */
export class Database extends pulumi.ComponentResource {
  /** `host:port`. */
  readonly hostAndPort: string;
  readonly port: number;
  /** What a URL of this server ends with so that a service connects as we do: `?sslmode=verify-full`, or nothing. */
  readonly urlOptions: string;
  readonly registryDatabase: pulumi.Output<string>;
  /** By role name. */
  readonly logins: Readonly<Record<string, DatabaseLogin>>;
  readonly keeperLogin: DatabaseLogin;

  constructor(name: string, args: DatabaseArgs, opts?: pulumi.ComponentResourceOptions) {
    // The state shows a component's inputs as they are given here: the address carries a password, so it is left out.
    super("release-coordinator:components:Database", name, { releaseRoles: args.releaseRoles }, opts);
    const at = new URL(args.url);
    const port = Number(at.port === "" ? "5432" : at.port);
    const sslMode = at.searchParams.get("sslmode");
    const provider = new Provider(
      `${name}-postgres`,
      {
        host: at.hostname,
        port,
        username: decodeURIComponent(at.username),
        password: pulumi.secret(decodeURIComponent(at.password)),
        sslmode: sslMode ?? "disable",
      },
      { parent: this },
    );
    const child = { parent: this, provider, protect: true };

    const migrator = new Role(`${name}-migrator`, { name: "rc_migrator", login: false }, child);
    const reader = new Role(`${name}-reader`, { name: "rc_reader", login: false }, child);
    const registry = new PostgresDatabase(`${name}-registry`, { name: "rc_registry", owner: migrator.name }, child);
    const login = (role: string): DatabaseLogin & { readonly resource: Role } => {
      const password = new RandomPassword(
        `${name}-${role}`,
        { length: 32, special: false },
        { parent: this, protect: true },
      );
      const resource = new Role(`${name}-${role}`, { name: role, login: true, password: password.result }, child);
      return { role, password: password.result, resource };
    };
    this.logins = Object.fromEntries(args.releaseRoles.map((role) => [role, login(role)]));
    const keeper = login("rc_keeper");
    for (const [as, granted] of Object.entries({ migrator, reader }))
      new GrantRole(`${name}-keeper-${as}`, { role: keeper.resource.name, grantRole: granted.name }, child);

    this.keeperLogin = keeper;
    this.hostAndPort = at.host;
    this.port = port;
    this.urlOptions = sslMode === null ? "" : `?sslmode=${encodeURIComponent(sslMode)}`;
    this.registryDatabase = registry.name;
    this.registerOutputs({ registryDatabase: this.registryDatabase });
  }
}
