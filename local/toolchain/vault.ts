import { join } from "node:path";
import { cacheFolder } from "../folders.ts";
export const ensureVault = async (): Promise<string> => join(cacheFolder(), "vault-1.21.1", "bin", "vault");
