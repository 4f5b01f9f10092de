import * as pulumi from "@pulumi/pulumi";
import { providerText } from "./node-provider.ts";

/** What every migration node shows of itself; see `NodeOutcome` for the meaning. */
export abstract class MigrationResource extends pulumi.CustomResource {
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
    const token = `pulumi-nodejs:dynamic/migrations:${type.name}`;
    const inputs = { ...args, kind: type.kind, ...outputs, __urn: urnOf(token, name, opts), __provider: providerText };
    super(token, name, inputs, opts);
  }
}

/**
 * The node's own URN, so that its provider can show progress in its row: the engine does not tell it. A promise, since an
 * output of the parent would make the node wait for all of the parent's children, itself among them.
 */
function urnOf(token: string, name: string, opts: pulumi.CustomResourceOptions | undefined): Promise<string> {
  return new Promise((resolve) => pulumi.createUrn(name, token, opts?.parent).apply(resolve));
}

/** Options of the nodes that stand for data: they never leave the state by accident, and leaving it changes no data. */
export const lasting: pulumi.CustomResourceOptions = { protect: true, retainOnDelete: true };
