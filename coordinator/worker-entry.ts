// Entry of the coordinator's own image: the keeper, or with the word "smoke" one smoke test from inside a cluster.
if (process.argv[2] === "smoke") await import("./smoke-entry.ts");
else await import("./keeper-entry.ts");
