import { type CollectionSpec, findDifferences, findPartitionFault, specFaults } from "./collection.ts";
import { MilvusError } from "./milvus-error.ts";
import { type MilvusAccess, MilvusSession } from "./session.ts";

/** A preview does not wait for a server that is away, milliseconds. */
const previewReplyMs = 5000;

/**
 * Everything about a Milvus and a collection that keeps vectors from being moved there, each with its mend: a spec that no
 * Milvus takes; nobody at the address; a wrong password; no passwords at all; a user that may make no users, so that the late
 * request of a killed run could not be shut out; another collection of the same name. Reads only.
 */
export async function findMilvusFaults(access: MilvusAccess, spec: CollectionSpec): Promise<string[]> {
  const faults = specFaults(spec).map((fault) => `collection ${spec.name}: ${fault}; correct it in the release`);
  const quick = { ...access, replyMs: previewReplyMs, patienceMs: 0 };
  let session: MilvusSession | undefined;
  try {
    session = await MilvusSession.open(quick);
    if (await letsAnybodyIn(quick))
      faults.push(
        `Milvus at ${access.address} takes any password: everybody could read and change vectors, and a killed run could not be shut out; set common.security.authorizationEnabled: true there`,
      );
    faults.push(...(await findRightsFaults(session, access)));
    if (faults.length > 0) return faults;
    const differences = (await findDifferences(session, spec)) ?? [];
    if (differences.length > 0)
      faults.push(
        `collection ${spec.name} of Milvus at ${access.address}: ${differences.join("; ")}; choose another name in the release, or drop it`,
      );
    const partitions = await findPartitionFault(session, spec);
    if (partitions !== undefined) faults.push(partitions);
  } catch (error) {
    if (!(error instanceof MilvusError)) throw error;
    faults.push(error.message);
  } finally {
    await session?.close();
  }
  return faults;
}

async function letsAnybodyIn(access: MilvusAccess): Promise<boolean> {
  try {
    const session = await MilvusSession.open({ ...access, password: `${access.password}.` });
    await session.close();
    return true;
  } catch (error) {
    if (error instanceof MilvusError && error.reason === "denied") return false;
    throw error;
  }
}

async function findRightsFaults(session: MilvusSession, { address, username }: MilvusAccess): Promise<string[]> {
  try {
    await session.ask("the list of users", (client) => client.listUsers());
    return [];
  } catch (error) {
    if (!(error instanceof MilvusError) || error.reason !== "denied") throw error;
    return [
      `user ${username} of Milvus at ${address} may not see users, and every run writes as a user of its own: grant it role admin, or name another user in the stack file`,
    ];
  }
}
