/** Health check of a container: exit code 0 when the service on PORT answers. An image FROM scratch has no shell. */
try {
  const answer = await fetch(`http://127.0.0.1:${process.env.PORT}/healthz`, { signal: AbortSignal.timeout(2_000) });
  process.exit(answer.ok ? 0 : 1);
} catch {
  process.exit(1);
}

export {};
