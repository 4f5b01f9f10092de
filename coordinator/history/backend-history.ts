import type { Stack } from "@pulumi/pulumi/automation/index.js";
import { AutomationHistory } from "./automation-history.ts";
import { FileHistory, isFileBackend } from "./file-history.ts";
import type { History, HistoryReading } from "./history.ts";

/**
 * Automation API first, the backend's own files where Pulumi cannot read its history (one truncated entry fails all of
 * `pulumi stack history`) and the files are within reach.
 */
export class BackendHistory implements History {
  readonly #first: History;
  readonly #second: History | undefined;

  constructor(stack: Stack, backend: { url: string; project: string }) {
    this.#first = new AutomationHistory(stack);
    this.#second = isFileBackend(backend.url) ? new FileHistory(backend.url, backend.project, stack.name) : undefined;
  }

  async read(): Promise<HistoryReading> {
    try {
      return await this.#first.read();
    } catch (error) {
      if (!this.#second) throw error;
      const reading = await this.#second.read();
      // Pulumi's refusal without a broken file of ours to explain it is a different fault and must not be hidden.
      if (reading.warnings.length === 0) throw error;
      return reading;
    }
  }
}
