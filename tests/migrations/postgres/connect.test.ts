import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { connect, keepAliveInitialDelayMillis } from "../../../migrations/postgres/connect.ts";
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

  it("ask within seconds whether a server that says nothing is still there", async () => {
    const client = await connect({ url: getPostgresUrl(), database: "postgres", applicationName: "rc-test" });
    try {
      const { rows } = await client.query<{ port: number }>("SELECT inet_client_port() AS port");
      const port = rows[0]?.port.toString(16).toUpperCase().padStart(4, "0");
      // The kernel's own table: local address, remote address, state, queues, timer:hundredths of a second.
      const lines = (await readFile("/proc/net/tcp", "utf8")).split("\n").map((line) => line.trim().split(/\s+/));
      const [, kind, rest] =
        /^(\w+):(\w+)$/.exec(lines.find(([, local]) => local?.endsWith(`:${port}`))?.[5] ?? "") ?? [];
      assert.equal(kind, "02", "02 is the timer that asks");
      const seconds = Number.parseInt(rest ?? "", 16) / 100;
      assert.ok(seconds <= keepAliveInitialDelayMillis / 1000, `${seconds} s; the system's own setting is two hours`);
    } finally {
      await client.end();
    }
  });
});
