import * as pulumi from "@pulumi/pulumi";
import { nodeProvider } from "./node-provider.ts";

/** What every migration node shows of itself; see `NodeOutcome` for the meaning. */
export abstract class MigrationResource extends pulumi.dynamic.Resource {
  /** Changes whenever the node has moved something. */
  declare readonly epoch: pulumi.Output<string>;
  /** `done`, `partial` or `waiting`. */
  declare readonly status: pulumi.Output<string>;
  declare readonly summary: pulumi.Output<string>;

  protected constructor(
    type: { readonly kind: string; readonly name: string },
    name: string,
    args: pulumi.Inputs,
    opts?: pulumi.CustomResourceOptions,
  ) {
    const outputs = { epoch: undefined, status: undefined, summary: undefined };
    super(nodeProvider, name, { ...args, kind: type.kind, ...outputs }, opts, "migrations", type.name);
  }
}

/** Options of the nodes that stand for data: they never leave the state by accident, and leaving it changes no data. */
export const lasting: pulumi.CustomResourceOptions = { protect: true, retainOnDelete: true };
