import { userInfo } from "node:os";

/** Who acts, for records and holds: the person CI names (RC_OPERATOR), else the login of this machine. */
export function operatorName(): string {
  return process.env["RC_OPERATOR"] || userInfo().username;
}
