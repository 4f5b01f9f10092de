import * as pulumi from "@pulumi/pulumi";
import { Cutover } from "../migrations/cutover.ts";
import { Finalize } from "../migrations/finalize.ts";
import { Prepare, type WaveNodeArgs } from "../migrations/prepare.ts";

export interface WaveArgs extends Omit<WaveNodeArgs, "mirrors" | "after"> {
  /** What has to be true before anything is copied: tenants, flags off, keeper. */
  readonly prepareAfter: readonly pulumi.Resource[];
  /** What has to be true before authority moves: healthy fleets, the cutovers of the waves before. */
  readonly cutoverAfter: readonly pulumi.Resource[];
  /** Takes the protection off the nodes, so that the next update may drop them. @default false */
  readonly isLeaving?: boolean;
}

/**
 * One wave of tenants and its three nodes: prepare -> cutover -> finalize. Their names are for ever: they are how the
 * state finds them again.
 */
export class Wave extends pulumi.ComponentResource {
  readonly prepare: Prepare;
  readonly cutover: Cutover;
  private readonly inputs: WaveNodeArgs;
  private readonly waveName: string;
  private readonly protection: { readonly protect: boolean };

  constructor(name: string, args: WaveArgs, opts?: pulumi.ComponentResourceOptions) {
    super("release-coordinator:components:Wave", name, {}, opts);
    const { prepareAfter, cutoverAfter, isLeaving = false, ...inputs } = args;
    this.waveName = name;
    this.inputs = inputs;
    this.protection = { protect: !isLeaving };
    this.prepare = new Prepare(`${name}-prepare`, inputs, {
      parent: this,
      dependsOn: [...prepareAfter],
      ...this.protection,
    });
    this.cutover = new Cutover(
      `${name}-cutover`,
      { ...inputs, after: this.prepare.epoch },
      { parent: this, dependsOn: [this.prepare, ...cutoverAfter], ...this.protection },
    );
    this.registerOutputs({ prepare: this.prepare.summary, cutover: this.cutover.summary });
  }

  /**
   * The third node. It comes last in the whole environment, because flags are turned on between the cutovers and it.
   * `mirrors` are taken to their end position; an empty list leaves the way back open.
   */
  finalize(mirrors: readonly string[], dependsOn: readonly pulumi.Resource[]): Finalize {
    const after = pulumi.interpolate`${this.prepare.epoch} ${this.cutover.epoch}`;
    return new Finalize(
      `${this.waveName}-finalize`,
      { ...this.inputs, mirrors, after },
      { parent: this, dependsOn: [this.cutover, ...dependsOn], ...this.protection },
    );
  }
}
