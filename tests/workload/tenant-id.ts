const TENANT_ID = /^[a-z][a-z0-9-]{1,40}$/;

/** Whether a path segment can be a tenant at all; anything else never reaches a database name. */
export function isTenantId(value: string): boolean {
  return TENANT_ID.test(value);
}

/** Suffix of the tenant's database: PostgreSQL names hold no dash without quoting. */
export function databaseSuffix(tenant: string): string {
  return tenant.replaceAll("-", "_");
}
