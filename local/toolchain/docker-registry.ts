import { ensureDebianPackage } from "./debian-package.ts";

/**
 * Downloads and unpacks Debian's image registry into the cache on first use; nothing is installed.
 * @returns path of the binary
 * @throws {Error} when apt-get is missing or finds no package
 */
export const ensureDockerRegistry = (): Promise<string> =>
  ensureDebianPackage({ name: "docker-registry", binary: "usr/bin/docker-registry" });
