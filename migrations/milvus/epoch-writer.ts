import { createHash, hkdfSync } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { RbacObjects } from "@zilliz/milvus2-sdk-node";
import { fields } from "./collection.ts";
import { MilvusError } from "./milvus-error.ts";
import { type MilvusAccess, MilvusSession } from "./session.ts";
import { decodeMessage, encodeMessage, type MutationResult } from "./wire.ts";

/** One run's turn at one tenant's vectors. */
export interface WriterTurn {
  /** Whose vectors: the same text for every run on them, e.g. environment, tenant and mirror. */
  readonly owner: string;
  /** Raised by every takeover: of two runs the later one has the higher. */
  readonly epoch: bigint;
  /** Throws when another run has taken over. */
  readonly confirm: () => Promise<void>;
}

/** A session that only one run has, and that the next one can shut. */
export interface EpochWriter {
  readonly session: MilvusSession;
  /** Ends the session and drops its user. */
  close(): Promise<void>;
}

/** Role of every writer: rows of the collections that the engine has made, nothing else. */
export const writerRole = "rc_writer";

const privileges = ["Insert", "Upsert", "Delete", "Query", "Search"] as const;

/**
 * Opens a session as a Milvus user of this epoch's own, drops the users of the epochs before and waits until they are refused:
 * a request of a killed or sleeping run that comes late finds nobody there, which PostgreSQL's epoch cannot do for a store
 * outside of it. Passwords follow from that of the region's user, so that the next run can ask as the one before; none is kept.
 *
 * First the user is made, then the epoch is confirmed. A run that was taken over in between finds that out itself, or
 * its user was there already and is dropped by the other one; there is no third order.
 *
 * @param admin a session whose user may make users and roles, and grant
 * @throws {MilvusError} `denied`: it may not, naming what it needs
 */
export async function openEpochWriter(
  admin: MilvusSession,
  access: MilvusAccess,
  collection: string,
  { owner, epoch, confirm }: WriterTurn,
): Promise<EpochWriter> {
  const prefix = `rc_${createHash("sha256").update(owner).digest("hex").slice(0, 16)}_`;
  const username = `${prefix}${epoch}`;
  const as = (name: string): MilvusAccess => ({ ...access, username: name, password: passwordOf(access, name) });
  const { password } = as(username);
  try {
    await ensureRole(admin, collection);
    await admin
      .ask("a user for this run", (client) => client.createUser({ username, password }))
      .catch((error: unknown) => {
        // Its name and password are this run's: a request whose answer was lost has made it.
        if (!isThere(error)) throw error;
      });
    await admin.ask("the role of its user", (client) => client.addUserToRole({ username, roleName: writerRole }));
  } catch (error) {
    throw explainDenied(error, access);
  }
  const drop = () => dropUser(admin, username);
  try {
    await confirm();
    const { usernames } = await admin.ask("the list of users", (client) => client.listUsers());
    for (const other of usernames) {
      const number = other.startsWith(prefix) ? other.slice(prefix.length) : "";
      if (!/^\d+$/.test(number) || BigInt(number) >= epoch) continue;
      await dropUser(admin, other);
      await waitUntilRefused(admin, as(other));
    }
    const session = await openOnceAllowed(as(username), collection);
    return {
      session,
      async close() {
        await session.close();
        await drop();
      },
    };
  } catch (error) {
    await drop().catch(() => undefined);
    throw error;
  }
}

/** Milvus tells its proxies of users and roles, and they may be late: up to 2 s was seen, 13 s on a busy machine. */
const rumourMs = 30_000;

async function openOnceAllowed(access: MilvusAccess, collection: string): Promise<MilvusSession> {
  const giveUpAt = performance.now() + rumourMs;
  const session = await onceAllowed(giveUpAt, () => MilvusSession.open(access));
  try {
    // Requests that do nothing: an upsert without rows, which is refused for that; a delete of no row; a count.
    const names = { db_name: session.database, collection_name: collection };
    const harmless: (() => Promise<unknown>)[] = [
      () =>
        session.exchange(
          "Upsert",
          encodeMessage("UpsertRequest", { ...names, fields_data: [], num_rows: 0 }),
          (reply) => decodeMessage<MutationResult>("MutationResult", reply),
        ),
      () =>
        session.ask("a delete of no row", (client) =>
          client.delete({ collection_name: collection, filter: `${fields.id} in ["/"]` }),
        ),
      () =>
        session.ask("a count", (client) =>
          client.query({ collection_name: collection, filter: `${fields.id} == "/"`, output_fields: [fields.version] }),
        ),
    ];
    for (const request of harmless)
      await onceAllowed(giveUpAt, () =>
        request().catch((error: unknown) => {
          if (isDenied(error)) throw error;
        }),
      );
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** Asks again for as long as the answer is that it may not. */
async function onceAllowed<T>(giveUpAt: number, ask: () => Promise<T>): Promise<T> {
  for (; ; await sleep(50)) {
    try {
      return await ask();
    } catch (error) {
      if (!isDenied(error) || performance.now() > giveUpAt) throw error;
    }
  }
}

/** Refused several times in a row: once a user that was just dropped was still let in by what a proxy remembered. */
async function waitUntilRefused(admin: MilvusSession, old: MilvusAccess): Promise<void> {
  let refusals = 0;
  for (const giveUpAt = performance.now() + rumourMs; refusals < 3; await sleep(20)) {
    const session = await MilvusSession.open(old).catch((error: unknown) => {
      if (!isDenied(error)) throw error;
    });
    if (session === undefined) {
      refusals += 1;
      continue;
    }
    await session.close();
    refusals = 0;
    if (performance.now() > giveUpAt)
      throw new MilvusError(
        "refused",
        `Milvus at ${admin.address} still lets user ${old.username} in, which was dropped ${rumourMs / 1000} s ago: a request of an earlier run could come late. Look at Milvus's proxies, then run the update again`,
      );
    await dropUser(admin, old.username);
  }
}

function passwordOf({ password }: MilvusAccess, username: string): string {
  return Buffer.from(hkdfSync("sha256", password, "", `release-coordinator writer ${username}`, 24)).toString(
    "base64url",
  );
}

const isThere = (error: unknown): boolean => error instanceof MilvusError && /already exists/.test(error.message);

const isDenied = (error: unknown): boolean => error instanceof MilvusError && error.reason === "denied";

async function ensureRole(admin: MilvusSession, collection: string): Promise<void> {
  const { results } = await admin.ask("the list of roles", (client) => client.listRoles({ includeUserInfo: false }));
  if (!results.some(({ role }) => role.name === writerRole)) {
    await admin
      .ask(`role ${writerRole}`, (client) => client.createRole({ roleName: writerRole }))
      .catch((error: unknown) => {
        // Another tenant's run was faster.
        if (!isThere(error)) throw error;
      });
  }
  const grant = (
    object: "Global" | "Collection",
    objectName: string,
    privilegeName: "ListDatabases" | (typeof privileges)[number],
  ) =>
    admin.ask(`privileges of ${writerRole}`, (client) =>
      client.grantRolePrivilege({
        roleName: writerRole,
        object: object as RbacObjects,
        objectName,
        privilegeName,
        db_name: admin.database,
      }),
    );
  // Opening a session asks for it, to find out whether the password is right.
  await grant("Global", "*", "ListDatabases");
  for (const privilege of privileges) await grant("Collection", collection, privilege);
}

async function dropUser(admin: MilvusSession, username: string): Promise<void> {
  await admin
    .ask("the drop of an earlier run's user", (client) => client.deleteUser({ username }))
    .catch((error: unknown) => {
      if (!(error instanceof MilvusError) || !/not exist|not found/i.test(error.message)) throw error;
    });
}

function explainDenied(error: unknown, { address, username }: MilvusAccess): unknown {
  if (!(error instanceof MilvusError) || !isDenied(error)) return error;
  return new MilvusError(
    "denied",
    `${error.message}; every run writes as a user of its own, so user ${username} of Milvus at ${address} has to be allowed CreateOwnership, DropOwnership, ManageOwnership, SelectOwnership and SelectUser: grant it role admin, or name another user in the stack file`,
    { cause: error },
  );
}
