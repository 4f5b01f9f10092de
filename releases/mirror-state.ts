/** Where a mirror stands. Source authoritative: `off`, `mirroring`; sink authoritative: `switched`, `retired`. */
export type Position = "off" | "mirroring" | "switched" | "retired";

/** Tenants of an environment or a wave that share a position of one mirror: a row of the registry's projection, summed. */
export interface MirrorState {
  readonly mirror: string;
  readonly position: Position;
  readonly tenants: number;
  readonly rows: number;
  /** Changes captured and not yet carried to the other side. */
  readonly dirty: number;
  /** Measured on earlier tenants; undefined when nothing was measured yet. */
  readonly rateRowsPerSecond?: number;
}

/** Does the sink hold the truth? */
export function isSinkAuthoritative(position: Position): boolean {
  return position === "switched" || position === "retired";
}

export function tenantsOf(states: readonly MirrorState[]): number {
  return states.reduce((sum, state) => sum + state.tenants, 0);
}

/** `1 tenant`, `12 tenants`. */
export function explainTenants(states: readonly MirrorState[]): string {
  const count = tenantsOf(states);
  return `${count} ${count === 1 ? "tenant" : "tenants"}`;
}
