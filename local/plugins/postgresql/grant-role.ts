import { escapeIdentifier } from "pg";
import { text } from "../property.ts";
import type { Values } from "../property.ts";
import type { ResourceType } from "../resource-type.ts";
import type { PostgresServer } from "./postgres-server.ts";

/** Membership of `role` in `grantRole`. */
export const grantRole: ResourceType<PostgresServer> = {
  token: "postgresql:index/grantRole:GrantRole",
  properties: {
    role: { kind: "string", isRequired: true, isReplacing: true },
    grantRole: { kind: "string", isRequired: true, isReplacing: true },
    withAdminOption: { kind: "boolean", isReplacing: true, default: false },
  },

  async create(server, inputs) {
    const [member, granted] = names(inputs);
    const isAdmin = inputs["withAdminOption"] === true;
    await server.change([`GRANT ${granted} TO ${member}${isAdmin ? " WITH ADMIN OPTION" : ""}`]);
    return { id: `${text(inputs["role"])}_${text(inputs["grantRole"])}_${isAdmin}` };
  },

  async read(server, id, state) {
    if (state["role"] === undefined)
      throw new Error(`a GrantRole cannot be imported ("${id}"), as with the official plugin`);
    const [found] = await server.query<{ admin: boolean }>(
      `SELECT bool_or(admin_option) AS admin FROM pg_auth_members
        WHERE pg_get_userbyid(member) = $1 AND pg_get_userbyid(roleid) = $2 HAVING count(*) > 0`,
      [state["role"], state["grantRole"]],
    );
    return found === undefined ? undefined : { withAdminOption: found.admin };
  },

  async delete(server, _, state) {
    const [member, granted] = names(state);
    const present = await server.query("SELECT FROM pg_roles WHERE rolname = ANY ($1)", [
      [state["role"], state["grantRole"]],
    ]);
    if (present.length === 2) await server.change([`REVOKE ${granted} FROM ${member}`]);
  },
};

function names(values: Values): [member: string, granted: string] {
  return [escapeIdentifier(text(values["role"])), escapeIdentifier(text(values["grantRole"]))];
}
