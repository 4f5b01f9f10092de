import * as pulumi from "@pulumi/pulumi";
import type { ShowLine } from "./nodes/wave-progress.ts";

/**
 * Shows lines in a resource's own row while its provider works: as its status, of which Pulumi keeps nothing. The SDK has
 * no public way for it: the provider's process gets the engine's address as its argument, and the SDK's log is turned to
 * it. When any of that is not as expected nothing is shown. Never throws, never waits; a line that comes while the one
 * before is under way is dropped.
 *
 * @param urn of the resource; anything else shows nothing
 */
export function openResourceRow(urn: unknown): ShowLine {
  const [, stack, project] = /^urn:pulumi:([^:]+)::([^:]+)::/.exec(String(urn)) ?? [];
  if (stack === undefined || project === undefined) return () => {};
  connection ??= connect(project, stack);
  if (!connection) return () => {};
  const row = { urn: pulumi.output(String(urn)) } as pulumi.Resource;
  let isUnderWay = false;
  return (line) => {
    if (isUnderWay) return;
    isUnderWay = true;
    const ended = (): void => void (isUnderWay = false);
    try {
      pulumi.log.info(line, row, 1, true).then(ended, ended);
    } catch {
      ended();
    }
  };
}

/** Made once a process: turning the SDK to the engine forgets what is under way. */
let connection: boolean | undefined;

function connect(project: string, stack: string): boolean {
  const engineAddress = process.argv[2];
  if (engineAddress === undefined || !/^[^\s/]+:\d+$/.test(engineAddress)) return false;
  try {
    if (pulumi.runtime.resetOptions.length !== 7) return false;
    pulumi.runtime.resetOptions(project, stack, -1, engineAddress, "", false, "");
    return true;
  } catch {
    return false;
  }
}
