import * as pulumi from "@pulumi/pulumi";

/**
 * Keeps the SDK from noting where in the program each resource and each promise was made. The state would hold it of every
 * resource, with the path of the checkout, and it took a third of a preview to map the lines of files that Node runs as they
 * are written. Errors say where they were thrown as before. To be called before the first resource is made.
 */
export function forgetPlaces(): void {
  Reflect.deleteProperty(Error, "prepareStackTrace");
  // The SDK's own, and no part of what it promises: without it, places are kept again and nothing else changes.
  if (typeof Reflect.get(pulumi.Resource, "stackTrace") === "function")
    Reflect.set(pulumi.Resource, "stackTrace", () => []);
}
