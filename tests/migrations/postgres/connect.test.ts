import assert from "node:assert/strict";
import { connect } from "../../../migrations/postgres/connect.ts";
import { getPostgresUrl } from "../../servers.ts";

describe("sessions of the engine", () => {
  it("are ended by the server within half a minute when their machine is gone", async () => {
    const client = await connect({ url: getPostgresUrl(), database: "postgres", applicationName: "rc-test" });
    try {
      const { rows } = await client.query<{ name: string; setting: string }>(
        "SELECT name, setting FROM pg_settings WHERE name LIKE 'tcp_keepalives%'",
      );
      const at = new Map(rows.map(({ name, setting }) => [name.slice("tcp_keepalives_".length), Number(setting)]));
      const seconds = (at.get("idle") ?? 0) + (at.get("interval") ?? 0) * (at.get("count") ?? 0);
      assert.ok(seconds > 0 && seconds <= 30, `${seconds} s; 0 is the system's own setting, two hours`);
    } finally {
      await client.end();
    }
  });
});
