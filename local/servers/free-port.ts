import { randomInt } from "node:crypto";
import { createServer } from "node:net";

// Below the kernel's ephemeral range: nobody's outgoing connection can take such a port while our server is down.
const firstPort = 20_000;
const lastPort = 31_999;

/** Whether 127.0.0.1:`port` can be listened on now. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * First port of a random block of free ports on 127.0.0.1.
 * @param size ports in the block. @default 1
 * @param taken ports already promised to somebody who does not listen yet
 */
export async function findFreePort(size = 1, taken: ReadonlySet<number> = new Set()): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const first = randomInt(firstPort, lastPort + 2 - size);
    const block = Array.from({ length: size }, (_, index) => first + index);
    if (block.some((port) => taken.has(port))) continue;
    const free = await Promise.all(block.map(isPortFree));
    if (free.every(Boolean)) return first;
  }
  throw new Error(`found no ${size} free ports in a row between ${firstPort} and ${lastPort}; look with \`ss -ltn\``);
}
