/** Ids that are safe as part of names of databases, keys and paths. */
export const tenantIdPattern = /^[a-z][a-z0-9-]{1,40}$/;

/** What is wrong with an id, with the mend; undefined when it is fine. */
export function faultOfTenantId(id: string): string | undefined {
  if (tenantIdPattern.test(id)) return undefined;
  const shown = JSON.stringify(id.length > 60 ? `${id.slice(0, 60)}...` : id);
  const wish = id
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^[^a-z]+|-+$/g, "")
    .slice(0, 41);
  const mend = tenantIdPattern.test(wish) ? `; rename it, e.g. to ${wish}` : "; give it another id";
  return `tenant id ${shown}: allowed are 2 to 41 characters, a-z first, then a-z, 0-9 and -${mend}`;
}

/** Database of a tenant. Two ids never share one: `_` is not allowed in an id. @throws for an id that is not allowed */
export function tenantDatabase(id: string): string {
  const fault = faultOfTenantId(id);
  if (fault !== undefined) throw new Error(fault);
  return `tenant_${id.replaceAll("-", "_")}`;
}
