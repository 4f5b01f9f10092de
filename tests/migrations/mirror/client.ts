import { randomUUID } from "node:crypto";
import type pg from "pg";
import { associatedData } from "../../../migrations/tink/associated-data.ts";
import type { Aead } from "../../../migrations/tink/aead.ts";
import { environment, type TestTenant } from "./tenant-fixture.ts";

/**
 * A user of a tenant: writes through whichever release serves it, as the services do. Knows what was acknowledged: that
 * and nothing else has to be there at the end.
 */
export class Client {
  /** Acknowledged bodies by prompt. */
  readonly acknowledged = new Map<string, string>();
  readonly #tenant: TestTenant;
  readonly #sessions: Record<"platform_r1" | "platform_r2", pg.Client>;
  #role: "platform_r1" | "platform_r2" = "platform_r1";
  #aead: Aead | undefined;
  /** How often the fence answered. */
  fenced = 0;

  private constructor(tenant: TestTenant, sessions: Record<"platform_r1" | "platform_r2", pg.Client>) {
    this.#tenant = tenant;
    this.#sessions = sessions;
  }

  static async connect(tenant: TestTenant): Promise<Client> {
    return new Client(tenant, {
      platform_r1: await tenant.as("platform_r1"),
      platform_r2: await tenant.as("platform_r2"),
    });
  }

  /** A new prompt with its body, in one transaction. @returns its id */
  async insert(body: string, id: string = randomUUID()): Promise<string> {
    await this.#serve(async (session, table, seal) => {
      await session.query("INSERT INTO prompts (id, title) VALUES ($1, 'live')", [id]);
      await session.query(`INSERT INTO ${table} (prompt_id, body) VALUES ($1, $2)`, [id, await seal(id, body)]);
    });
    this.acknowledged.set(id, body);
    return id;
  }

  async update(id: string, body: string): Promise<void> {
    await this.#serve(async (session, table, seal) => {
      await session.query(`UPDATE ${table} SET body = $2 WHERE prompt_id = $1`, [id, await seal(id, body)]);
    });
    this.acknowledged.set(id, body);
  }

  /** The prompt goes and takes its body along. */
  async delete(id: string): Promise<void> {
    await this.#serve((session) => session.query("DELETE FROM prompts WHERE id = $1", [id]));
    this.acknowledged.delete(id);
  }

  /** Body under another prompt's key. */
  async move(id: string, to: string): Promise<void> {
    const body = this.acknowledged.get(id) as string;
    await this.#serve(async (session, table, seal) => {
      await session.query("INSERT INTO prompts (id, title) VALUES ($1, 'moved')", [to]);
      await session.query(`UPDATE ${table} SET prompt_id = $2, body = $3 WHERE prompt_id = $1`, [
        id,
        to,
        await seal(to, body),
      ]);
    });
    this.acknowledged.delete(id);
    this.acknowledged.set(to, body);
  }

  /** One transaction under the release that serves the tenant; fenced = rolled back, and tried at the other. */
  async #serve(
    work: (
      session: pg.Client,
      table: string,
      seal: (id: string, body: string) => Promise<string | Buffer>,
    ) => Promise<unknown>,
  ): Promise<void> {
    for (let nth = 0; nth < 200; nth += 1) {
      const role = this.#role;
      const session = this.#sessions[role];
      const isSealed = role === "platform_r2";
      try {
        await session.query("BEGIN");
        await work(session, isSealed ? "prompt_bodies_sealed" : "prompt_bodies", async (id, body) =>
          isSealed ? this.#seal(id, body) : body,
        );
        await session.query("COMMIT");
        return;
      } catch (error) {
        await session.query("ROLLBACK");
        // 42P01: the contract revision has dropped the table since; PostgreSQL looks for it before it looks at privileges.
        if (!["42501", "42P01"].includes((error as { code?: string }).code ?? "")) throw error;
        this.fenced += 1;
        const found = await session.query<{ release: string }>("SELECT release FROM rc.whereabouts");
        this.#role = found.rows[0]?.release === "r2" ? "platform_r2" : "platform_r1";
      }
    }
    throw new Error("neither release served this tenant in 200 tries");
  }

  async #seal(id: string, body: string): Promise<Buffer> {
    this.#aead ??= (await this.#tenant.keyring().get("prompt")).aead;
    return this.#aead.seal(Buffer.from(body), associatedData(environment, this.#tenant.tenant, "prompt.body", id));
  }
}
