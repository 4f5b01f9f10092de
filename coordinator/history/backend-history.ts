import type { Stack } from "@pulumi/pulumi/automation/index.js";
import { openBackendFiles } from "../backend/backend-files.ts";
import { AutomationHistory } from "./automation-history.ts";
import { FileHistory } from "./file-history.ts";
import type { History, HistoryReading } from "./history.ts";

/**
 * Automation API first, the backend's own files where Pulumi cannot read its history (one truncated entry fails all of
 * `pulumi stack history`) and the files are within reach.
 */
export class BackendHistory implements History {
  readonly #first: History;
  readonly #stack: string;
  readonly #backend: { readonly url: string; readonly project: string };

  constructor(stack: Stack, backend: { readonly url: string; readonly project: string }) {
    this.#first = new AutomationHistory(stack);
    this.#stack = stack.name;
    this.#backend = backend;
  }

  async read(): Promise<HistoryReading> {
    try {
      return await this.#first.read();
    } catch (error) {
      const reading = await this.#fromFiles();
      // Pulumi's refusal without a broken file of ours to explain it is a different fault and must not be hidden.
      if (reading === undefined || reading.warnings.length === 0) throw error;
      return reading;
    }
  }

  async #fromFiles(): Promise<HistoryReading | undefined> {
    const files = await openBackendFiles(this.#backend.url);
    try {
      return files && (await new FileHistory(files, this.#backend.project, this.#stack).read());
    } finally {
      await files?.close();
    }
  }
}
