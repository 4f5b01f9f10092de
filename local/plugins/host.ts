import { Metadata, Server, ServerCredentials, status } from "@grpc/grpc-js";
import type { handleUnaryCall, sendUnaryData, ServerUnaryCall } from "@grpc/grpc-js";
import services from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import pluginMessages from "@pulumi/pulumi/proto/plugin_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import { autonames, complete, fixedRefusals, refusals } from "./check.ts";
import type { Subject } from "./check.ts";
import { configuration } from "./configuration.ts";
import { changes, importedInputs, inputsFrom } from "./diff.ts";
import { hasUnknown, unknown } from "./property.ts";
import type { Properties, Value, Values } from "./property.ts";
import type { Call, Plugin, ResourceType } from "./resource-type.ts";
import { checked, diffed, listOf, secretsOf, stateMessage, withSecrets } from "./responses.ts";
import { receive, send } from "./wire.ts";

/**
 * Serves a plugin over Pulumi's provider protocol on a free port of 127.0.0.1, and resolves to that port. The official
 * plugins are Terraform bridges; what they write into state beside the properties (`__meta`, `__defaults`) is written
 * here too, so that they can take over a stack without noticing.
 */
export async function serve<Connection>(plugin: Plugin<Connection>, version: string): Promise<number> {
  const server = new Server();
  server.addService(services.ResourceProviderService, handlers(plugin, version));
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
}

function handlers<Connection>(plugin: Plugin<Connection>, version: string) {
  const cancelled = new AbortController();
  let connection: { to: Connection } | undefined;

  const subject = (token: string): Subject => ({ token, plugin: plugin.name, version });
  const connected = (): Connection => {
    if (connection === undefined)
      throw new Error(`the ${plugin.name} plugin was asked to work before it was configured`);
    return connection.to;
  };
  const find = (urn: string): ResourceType<Connection> => {
    const token = (urn.split("::")[2] ?? "").split("$").at(-1) ?? "";
    const type = plugin.resources.find((candidate) => candidate.token === token);
    if (type !== undefined) return type;
    const served = plugin.resources.map((candidate) => candidate.token).join(", ");
    throw new Error(
      `the local stand-in of the ${plugin.name} plugin does not serve ${token} (it serves ${served}). ` +
        `Use the official plugin: pulumi plugin install resource ${plugin.name} ${version}`,
    );
  };
  const call = (urn: string): Call => ({ urn, signal: cancelled.signal });

  return {
    handshake: answer(() => new messages.ProviderHandshakeResponse().setAcceptSecrets(true)),

    getPluginInfo: answer(() => new pluginMessages.PluginInfo().setVersion(version)),

    getSchema: answer(() =>
      new messages.GetSchemaResponse().setSchema(JSON.stringify({ name: plugin.name, version, resources: {} })),
    ),

    checkConfig: answer((request: messages.CheckRequest) => {
      const config = configuration(plugin.config, receive(request.getNews()).values);
      return checked(refusals(subject(`pulumi:providers:${plugin.name}`), plugin.config, config)).setInputs(
        withSecrets(request.getNews(), plugin.config),
      );
    }),

    diffConfig: answer((request: messages.DiffRequest) => {
      const olds = configuration(plugin.config, receive(request.getOlds()).values);
      const news = configuration(plugin.config, receive(request.getNews()).values);
      return diffed(changes(plugin.config, olds, news), false);
    }),

    configure: answer((request: messages.ConfigureRequest) => {
      const config = configuration(plugin.config, receive(request.getArgs()).values);
      connection = { to: plugin.connect(complete(plugin.config, config)) };
      return new messages.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true);
    }),

    check: answer((request: messages.CheckRequest) => {
      const type = find(request.getUrn());
      const olds = receive(request.getOlds()).values;
      const news = receive(request.getNews());
      const names = autonames(type.properties, request.getUrn(), request.getRandomseed_asU8(), olds, news.values);
      const inputs = { ...news.values, ...names };
      const found = [
        ...refusals(subject(type.token), type.properties, inputs),
        ...fixedRefusals(subject(type.token), type.properties, olds, inputs),
      ];
      const completed = complete(type.properties, inputs);
      if (found.length === 0) {
        found.push(...(type.refuse?.(completed) ?? []).map(([property, reason]) => ({ property, reason })));
      }
      const message = send(inputs, [], [news]);
      // The official plugins keep the names they made up in this list, and take a listed name for their own.
      if (Object.keys(names).length > 0) message.getFieldsMap().set("__defaults", listOf(Object.keys(names)));
      return checked(found).setInputs(message);
    }),

    diff: answer((request: messages.DiffRequest) => {
      const type = find(request.getUrn());
      const state = receive(request.getOlds()).values;
      const inputs = receive(request.getNews()).values;
      const autonamed = listed(request.getNews()?.toJavaScript()["__defaults"] as Value);
      const ignored = new Set(request.getIgnorechangesList());
      const found = changes(type.properties, state, inputs).filter(
        (change) => !ignored.has(change.path.split(/[.[]/)[0] ?? ""),
      );
      // A name that the program fixed cannot be held by the old and the new resource at once.
      const keepsName = Object.entries(type.properties).some(
        ([name, property]) => property.isAutonamed && !autonamed.includes(name) && inputs[name] === state[name],
      );
      return diffed(found, type.isDeletedBeforeReplaced === true || keepsName, type.update === undefined);
    }),

    create: answer(async (request: messages.CreateRequest) => {
      const type = find(request.getUrn());
      const received = receive(request.getProperties());
      const inputs = complete(type.properties, received.values);
      if (request.getPreview() || hasUnknown(inputs)) {
        const message = send({ ...unknowns(type.properties, inputs), ...inputs }, secretsOf(type), [received]);
        return new messages.CreateResponse().setProperties(message);
      }
      const made = await type.create(connected(), inputs, call(request.getUrn()));
      const known = { ...inputs, ...made.outputs };
      const found = await type.read(connected(), made.id, known);
      if (found === undefined)
        throw new Error(`${type.token} "${made.id}" was made and is gone again; look at the server's log`);
      const message = stateMessage(type, { ...known, ...found }, [received]);
      return new messages.CreateResponse().setId(made.id).setProperties(message);
    }),

    read: answer(async (request: messages.ReadRequest) => {
      const type = find(request.getUrn());
      const state = receive(request.getProperties());
      const inputs = receive(request.getInputs());
      const found = await type.read(connected(), request.getId(), state.values);
      if (found === undefined) return new messages.ReadResponse();
      const outputs = { ...complete(type.properties, state.values), ...found };
      const isImport = Object.keys(state.values).length === 0 && Object.keys(inputs.values).length === 0;
      const newInputs = isImport
        ? importedInputs(type.properties, outputs)
        : inputsFrom(type.properties, inputs.values, outputs);
      const inputMessage = send(newInputs, isImport ? secretsOf(type) : [], [inputs]);
      const autonamed = request.getInputs()?.getFieldsMap().get("__defaults");
      if (autonamed !== undefined) inputMessage.getFieldsMap().set("__defaults", autonamed);
      return new messages.ReadResponse()
        .setId(request.getId())
        .setProperties(stateMessage(type, outputs, [inputs, state]))
        .setInputs(inputMessage);
    }),

    update: answer(async (request: messages.UpdateRequest) => {
      const type = find(request.getUrn());
      const olds = receive(request.getOlds());
      const received = receive(request.getNews());
      const inputs = complete(type.properties, received.values);
      const merged = { ...kept(type.properties, olds.values), ...inputs };
      if (request.getPreview() || hasUnknown(inputs)) {
        return new messages.UpdateResponse().setProperties(send(merged, secretsOf(type), [received, olds]));
      }
      if (type.update === undefined)
        throw new Error(`${type.token} cannot change in place; this is a fault of the stand-in`);
      await type.update(
        connected(),
        request.getId(),
        complete(type.properties, olds.values),
        merged,
        call(request.getUrn()),
      );
      const found = await type.read(connected(), request.getId(), merged);
      if (found === undefined) throw new Error(`${type.token} "${request.getId()}" is gone; mend: pulumi refresh`);
      return new messages.UpdateResponse().setProperties(stateMessage(type, { ...merged, ...found }, [received]));
    }),

    delete: answer(async (request: messages.DeleteRequest) => {
      const type = find(request.getUrn());
      const state = complete(type.properties, receive(request.getProperties()).values);
      await type.delete(connected(), request.getId(), state);
      return new empty.Empty();
    }),

    cancel: answer(() => {
      cancelled.abort(new Error("the update was cancelled"));
      return new empty.Empty();
    }),

    attach: answer(() => new empty.Empty()),

    invoke: answer((request: messages.InvokeRequest) => {
      throw new Error(
        `the local stand-in of the ${plugin.name} plugin serves no functions, so not ${request.getTok()}; ` +
          `use the official plugin: pulumi plugin install resource ${plugin.name} ${version}`,
      );
    }),
  };
}

function answer<Request, Response>(
  work: (request: Request) => Response | Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => {
    Promise.resolve()
      .then(() => work(call.request))
      .then((response) => callback(null, response))
      .catch((error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        callback({ code: status.UNKNOWN, details: message, metadata: new Metadata() });
      });
  };
}

function unknowns(properties: Properties, inputs: Values): Values {
  const names = Object.entries(properties).filter(
    ([name, property]) => (property.isOutput || property.isComputed) && inputs[name] === undefined,
  );
  return Object.fromEntries(names.map(([name]) => [name, unknown]));
}

/** What outlives an update: outputs, and what the server chose; an input that the program dropped does not. */
function kept(properties: Properties, state: Values): Values {
  return Object.fromEntries(
    Object.entries(state).filter(([name]) => properties[name]?.isOutput || properties[name]?.isComputed),
  );
}

function listed(value: Value): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}
