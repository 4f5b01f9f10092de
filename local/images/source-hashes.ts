import { IMAGE_SERVICES, sourceHash } from "./bundle.ts";

// `node local/images/source-hashes.ts r1 r2` prints what the release data must state as the sources of its services.
for (const release of process.argv.slice(2)) {
  const hashes = await Promise.all(
    IMAGE_SERVICES.map(async (service) => [service, await sourceHash(service, release)] as const),
  );
  process.stdout.write(`${release} ${JSON.stringify(Object.fromEntries(hashes), null, 2)}\n`);
}
