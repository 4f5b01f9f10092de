import type { Environment } from "../releases/environment.ts";
import { mayChangeAt } from "../releases/window.ts";
import { Refusal } from "./outcome.ts";

/** @throws {Refusal} needs-human outside of every change window; a rollback never asks */
export function refuseOutsideWindow({ windows }: Environment, now = new Date()): void {
  if (mayChangeAt(windows, now)) return;
  throw new Refusal("needs-human", [`no change window is open now (${windows.join("; ")}); repeat inside one`]);
}
