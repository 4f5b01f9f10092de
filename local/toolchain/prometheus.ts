import { ensureDebianPackage } from "./debian-package.ts";

/**
 * Downloads and unpacks Debian's Prometheus into the cache on first use; nothing is installed.
 * @returns path of the binary
 * @throws {Error} when apt-get is missing or finds no package
 */
export const ensurePrometheus = (): Promise<string> =>
  ensureDebianPackage({ name: "prometheus", binary: "usr/bin/prometheus" });
