import type pg from "pg";
import { fine, missing, toDecide } from "./finding.ts";
import type { Finding } from "./finding.ts";

interface Role {
  readonly name: string;
  readonly isSuperuser: boolean;
  readonly bypassesRls: boolean;
  readonly canLogin: boolean;
  readonly canCreateRoles: boolean;
  readonly canCreateDatabases: boolean;
  readonly memberOf: readonly string[];
  /** Databases that it owns. */
  readonly owns: readonly string[];
}

/**
 * The roles that components/database.ts makes, and the login that makes them. A role that is not there is made by the first
 * update; one that is there must not be able to get round the fence.
 * @param operator session of the region's login
 * @param isFirst no update has run here: roles that exist are strangers to the stack
 */
export async function lookAtRoles(
  operator: pg.Client,
  subject: string,
  releaseRoles: readonly string[],
  isFirst: boolean,
): Promise<Finding[]> {
  const roles = await readRoles(operator, ["rc_migrator", "rc_reader", "rc_keeper", ...releaseRoles]);
  const owners = [...roles.values()].flatMap((role) => faultsOf(role, releaseRoles.includes(role.name)));
  const absent = ["rc_migrator", "rc_reader", "rc_keeper", ...releaseRoles].filter((name) => !roles.has(name));
  return [
    await lookAtLogin(operator, subject, roles),
    ...owners.map(([found, mend]) => missing(subject, found, mend)),
    ...(isFirst
      ? [...roles.keys()].map((name) =>
          toDecide(
            subject,
            `role ${name} exists, but no update of this stack made it`,
            `pulumi import postgresql:index/role:Role ${name} ${name}, or DROP ROLE ${name} when nobody uses it`,
          ),
        )
      : keeperFaults(roles).map(([found, mend]) => missing(subject, found, mend))),
    absent.length === 0
      ? fine(subject, `roles ${[...roles.keys()].join(", ")} are there`)
      : isFirst
        ? fine(subject, `the first update makes the roles ${absent.join(", ")}`)
        : missing(subject, `roles ${absent.join(", ")} are gone`, "pulumi refresh, then pulumi up"),
  ];
}

async function lookAtLogin(operator: pg.Client, subject: string, roles: ReadonlyMap<string, Role>): Promise<Finding> {
  const { rows } = await operator.query<{
    name: string;
    super: boolean;
    roles: boolean;
    databases: boolean;
    is: boolean;
  }>(
    `SELECT rolname AS name, rolsuper AS super, rolcreaterole AS roles, rolcreatedb AS databases,
       (SELECT bool_and(pg_has_role(current_user, oid, 'SET')) FROM pg_roles WHERE rolname IN ('rc_migrator', 'rc_reader')) AS is
     FROM pg_roles WHERE rolname = current_user`,
  );
  const [login] = rows;
  if (login === undefined) return missing(subject, "the login is no role of this server", "correct postgres.url");
  if (login.super) return fine(subject, `login ${login.name} is a superuser`);
  const wishes = [...(login.roles ? [] : ["CREATEROLE"]), ...(login.databases ? [] : ["CREATEDB"])];
  if (wishes.length > 0)
    return missing(
      subject,
      `login ${login.name} is no superuser and lacks ${wishes.join(" and ")}`,
      `ALTER ROLE ${login.name} ${wishes.join(" ")}`,
    );
  if (roles.has("rc_migrator") && roles.has("rc_reader") && !login.is)
    return missing(
      subject,
      `login ${login.name} may not become rc_migrator and rc_reader`,
      `GRANT rc_migrator, rc_reader TO ${login.name}`,
    );
  return toDecide(
    subject,
    `login ${login.name} is no superuser: it may create roles and databases, but perhaps not the extension vector`,
    "mark the extension as trusted, or let a superuser onboard tenants",
  );
}

/** Whoever owns, bypasses or is a member of the owner still reads and writes after every REVOKE. */
function faultsOf(role: Role, isOfRelease: boolean): (readonly [found: string, mend: string])[] {
  const { name, isSuperuser, bypassesRls, canLogin, memberOf, owns } = role;
  const strangers = isOfRelease
    ? memberOf
    : name === "rc_reader"
      ? memberOf.filter((other) => other === "rc_migrator")
      : [];
  return [
    ...(isSuperuser
      ? [[`role ${name} is a superuser: no privilege can be taken from it`, `ALTER ROLE ${name} NOSUPERUSER`] as const]
      : []),
    ...(bypassesRls ? [[`role ${name} bypasses row-level security`, `ALTER ROLE ${name} NOBYPASSRLS`] as const] : []),
    ...(isOfRelease && (role.canCreateRoles || role.canCreateDatabases)
      ? [[`role ${name} may create roles or databases`, `ALTER ROLE ${name} NOCREATEROLE NOCREATEDB`] as const]
      : []),
    ...(canLogin && (name === "rc_migrator" || name === "rc_reader")
      ? [[`role ${name} can log in`, `ALTER ROLE ${name} NOLOGIN`] as const]
      : []),
    ...strangers.map((other) => [`role ${name} is a member of ${other}`, `REVOKE ${other} FROM ${name}`] as const),
    ...(name === "rc_migrator"
      ? []
      : owns.map(
          (database) =>
            [`role ${name} owns database ${database}`, `ALTER DATABASE ${database} OWNER TO rc_migrator`] as const,
        )),
  ];
}

function keeperFaults(roles: ReadonlyMap<string, Role>): (readonly [found: string, mend: string])[] {
  const keeper = roles.get("rc_keeper");
  const lacking = ["rc_migrator", "rc_reader"].filter(
    (role) => keeper !== undefined && !keeper.memberOf.includes(role),
  );
  return lacking.map((role) => [
    `rc_keeper is no member of ${role}`,
    `GRANT ${role} TO rc_keeper, or pulumi refresh and up`,
  ]);
}

async function readRoles(operator: pg.Client, names: readonly string[]): Promise<ReadonlyMap<string, Role>> {
  const { rows } = await operator.query<Role>(
    `SELECT rolname AS name, rolsuper AS "isSuperuser", rolbypassrls AS "bypassesRls", rolcanlogin AS "canLogin",
       rolcreaterole AS "canCreateRoles", rolcreatedb AS "canCreateDatabases",
       ARRAY(SELECT pg_get_userbyid(roleid)::text FROM pg_auth_members WHERE member = r.oid ORDER BY 1) AS "memberOf",
       ARRAY(SELECT datname::text FROM pg_database WHERE datdba = r.oid ORDER BY 1) AS owns
     FROM pg_roles AS r WHERE rolname = ANY ($1) ORDER BY rolname`,
    [names],
  );
  return new Map(rows.map((role) => [role.name, role]));
}
