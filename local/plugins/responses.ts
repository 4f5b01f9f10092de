import messages from "@pulumi/pulumi/proto/provider_pb.js";
import type { Refusal } from "./check.ts";
import type { Change } from "./diff.ts";
import type { Properties, Values } from "./property.ts";
import type { ResourceType } from "./resource-type.ts";
import { receive, send } from "./wire.ts";
import type { Received } from "./wire.ts";

type Message = ReturnType<typeof send>;

/** The engine stops before any change when the list is not empty. */
export function checked(found: readonly Refusal[]): messages.CheckResponse {
  const failures = found.map(({ property, reason }) =>
    new messages.CheckFailure().setProperty(property).setReason(reason),
  );
  return new messages.CheckResponse().setFailuresList(failures);
}

/** @param isAlwaysReplaced the type knows no change in place */
export function diffed(
  found: readonly Change[],
  isDeletedFirst: boolean,
  isAlwaysReplaced = false,
): messages.DiffResponse {
  const response = new messages.DiffResponse().setHasdetaileddiff(true);
  const names = (list: readonly Change[]): string[] => [
    ...new Set(list.map(({ path }) => path.split(/[.[]/)[0] ?? path)),
  ];
  const replacing = found.filter((change) => change.isReplacing || isAlwaysReplaced);
  const kinds = messages.PropertyDiff.Kind;
  for (const change of found) {
    const kind = {
      add: [kinds.ADD, kinds.ADD_REPLACE],
      delete: [kinds.DELETE, kinds.DELETE_REPLACE],
      update: [kinds.UPDATE, kinds.UPDATE_REPLACE],
    }[change.kind][replacing.includes(change) ? 1 : 0];
    response.getDetaileddiffMap().set(change.path, new messages.PropertyDiff().setKind(kind ?? kinds.UPDATE));
  }
  return response
    .setDiffsList(names(found))
    .setReplacesList(names(replacing))
    .setDeletebeforereplace(isDeletedFirst && replacing.length > 0)
    .setChanges(
      found.length > 0 ? messages.DiffResponse.DiffChanges.DIFF_SOME : messages.DiffResponse.DiffChanges.DIFF_NONE,
    );
}

/** Properties that are secret whatever the program says. */
export function secretsOf<Connection>(type: ResourceType<Connection>): string[] {
  return Object.keys(type.properties).filter((name) => type.properties[name]?.isSecret);
}

/** Outputs for state: declared properties only, with secrets marked as in `alike`. */
export function stateMessage<Connection>(
  type: ResourceType<Connection>,
  values: Values,
  alike: readonly Received[],
): ReturnType<typeof send> {
  const declared = Object.fromEntries(Object.entries(values).filter(([name]) => type.properties[name] !== undefined));
  const message = send(declared, secretsOf(type), alike);
  if (type.schemaVersion !== undefined) {
    const meta = send({ value: JSON.stringify({ schema_version: String(type.schemaVersion) }) });
    message.getFieldsMap().set("__meta", meta.getFieldsMap().get("value") as never);
  }
  return message;
}

/** A list of texts as one value of a message. */
export function listOf(names: readonly string[]): never {
  return send({ value: [...names] })
    .getFieldsMap()
    .get("value") as never;
}

/** Provider configuration as it came, with what the official schema calls secret marked so, even when the program did not. */
export function withSecrets(config: Message | undefined, properties: Properties): Message | undefined {
  const secrets = Object.keys(properties).filter((name) => properties[name]?.isSecret);
  const received = receive(config);
  const marked = send(received.values, secrets, [received]);
  for (const name of secrets) {
    const value = marked.getFieldsMap().get(name);
    if (value !== undefined) config?.getFieldsMap().set(name, value);
  }
  return config;
}
