import type { SeededRandom } from "../workload/seeded-random.ts";
import type { BaseTenants } from "./base-tenants.ts";
import type { DrillTenant } from "./drill-tenant.ts";
import { type BodyKind, OperationLog } from "./operation-log.ts";
import type { WorkloadMix } from "./workload-mix.ts";
import { type OwnRecord, Writer } from "./writer.ts";

/** Writers at work on one tenant, and the log of all they were told. */
export class Traffic {
  readonly log = new OperationLog();
  readonly writers: readonly Writer[];

  /**
   * @param count writers; each owns a tenth of the base rows, the rest stays as it is
   * @param explains errors that the case has caused; see `Writer`. @default none
   * @param mix what the writers are mostly doing. @default some of everything
   */
  constructor(
    tenant: DrillTenant,
    base: BaseTenants,
    random: SeededRandom,
    count = 2,
    explains?: (error: unknown) => boolean,
    mix?: WorkloadMix,
  ) {
    const shares: OwnRecord[][] = Array.from({ length: count }, () => []);
    for (const [record, digest] of base.bodies.digests) {
      const [kind, id] = record.split(" ") as [BodyKind, string];
      this.log.begin(kind, id, digest);
      shares[random.below(count * 10)]?.push({ kind, id, digest });
    }
    this.writers = shares.map((own, nth) => new Writer(`w${nth + 1}`, tenant, this.log, random, own, explains, mix));
  }

  start(pauseMs?: number): void {
    for (const writer of this.writers) writer.start(pauseMs);
  }

  /** Transactions by every writer now, one after another. */
  async burst(count: number): Promise<void> {
    for (let nth = 0; nth < count; nth += 1) for (const writer of this.writers) await writer.once();
  }

  /** @throws {Error} a writer met an error that no fault explains, or nothing was acknowledged */
  async stop(): Promise<void> {
    for (const writer of this.writers) await writer.stop();
    if (this.log.counts.ok === 0) throw new Error("no write was acknowledged: the drill has proven nothing");
  }
}
