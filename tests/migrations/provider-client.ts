import { spawn, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { promisify } from "node:util";
import * as grpc from "@grpc/grpc-js";
import { providerText } from "../../migrations/node-provider.ts";

const require = createRequire(import.meta.url);
const services = require("@pulumi/pulumi/proto/provider_grpc_pb.js") as {
  ResourceProviderClient: new (address: string, credentials: grpc.ChannelCredentials) => Record<string, never>;
};
const messages = require("@pulumi/pulumi/proto/provider_pb.js") as Record<string, new () => Message>;
const { Struct } = require("google-protobuf/google/protobuf/struct_pb.js") as {
  Struct: { fromJavaScript(value: object): unknown };
};

interface Message {
  [setter: string]: (value: unknown) => void;
}

/** Pulumi's own dynamic provider process, spoken to over gRPC as the engine does. */
export class ProviderClient {
  private readonly client: Record<
    string,
    (request: unknown, callback: (error: unknown, reply: unknown) => void) => void
  >;
  private readonly process: ChildProcess;
  private readonly text: string;

  private constructor(process: ChildProcess, port: number, text: string) {
    this.process = process;
    this.text = text;
    this.client = new services.ResourceProviderClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  }

  /** @param engineAddress where the engine listens; by default nobody does */
  static async start(engineAddress = "127.0.0.1:1"): Promise<ProviderClient> {
    const main = require.resolve("@pulumi/pulumi/cmd/dynamic-provider/index.js");
    const child = spawn(process.execPath, [main, engineAddress], { stdio: ["ignore", "pipe", "inherit"] });
    const port = await new Promise<number>((resolve, reject) => {
      child.once("exit", (code) =>
        reject(new Error(`the provider process ended with ${code} before it said its port`)),
      );
      child.stdout.once("data", (chunk: Buffer) => resolve(Number(chunk.toString().trim())));
    });
    const client = new ProviderClient(child, port, providerText);
    await client.call("configure", "ConfigureRequest", { setArgs: {} });
    return client;
  }

  stop(): void {
    this.process.kill();
  }

  /** One call; objects become protobuf structs, with the provider's text added to properties. */
  async call(method: string, request: string, setters: Record<string, unknown>): Promise<Record<string, unknown>> {
    const Request = messages[request];
    if (Request === undefined) throw new Error(`no message ${request}`);
    const message = new Request();
    for (const [setter, value] of Object.entries(setters))
      message[setter]?.(
        value !== null && typeof value === "object"
          ? Struct.fromJavaScript({ ...value, __provider: this.text })
          : value,
      );
    const reply = (await promisify(this.client[method]!.bind(this.client))(message)) as {
      toObject(): Record<string, unknown>;
    } & Record<string, () => { toJavaScript(): unknown } | undefined>;
    const plain = reply.toObject();
    for (const [getter, key] of [
      ["getProperties", "properties"],
      ["getInputs", "inputs"],
    ] as const)
      if (typeof reply[getter] === "function") plain[key] = reply[getter]()?.toJavaScript();
    return plain;
  }
}
