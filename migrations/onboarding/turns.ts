import { connect } from "../postgres/connect.ts";
import { registryDatabase } from "../registry/registry-session.ts";

/** Tenants that this run may onboard, for as long as its session lives. */
export interface OnboardingTurns {
  /** Tenants that another run is onboarding right now, with the reason for people. */
  readonly busy: ReadonlyMap<string, string>;
  /** Gives all turns back; the end of the process does the same. */
  end(): Promise<void>;
}

/** Takes the advisory locks by which two runs never make the same tenant at once. Waits for nobody. */
export async function lockOnboarding(registryAt: string, ids: readonly string[]): Promise<OnboardingTurns> {
  const database = decodeURIComponent(new URL(registryAt).pathname.slice(1)) || registryDatabase;
  const client = await connect({ url: registryAt, database, applicationName: "rc-onboarding" });
  try {
    const { rows } = await client.query<{ id: string; locked: boolean }>(
      "SELECT id, pg_try_advisory_lock(hashtextextended('rc.onboarding.' || id, 0)) AS locked FROM unnest($1::text[]) AS id",
      [ids],
    );
    const busy = rows
      .filter(({ locked }) => !locked)
      .map(({ id }) => [id, `tenant ${id}: another run is onboarding it; wait for that one, then: pulumi up`] as const);
    return { busy: new Map(busy), end: () => client.end() };
  } catch (error) {
    await client.end();
    throw error;
  }
}
