import { EventEmitter, once } from "node:events";
import { createRequire } from "node:module";
import { promisify } from "node:util";
import * as grpc from "@grpc/grpc-js";

const require = createRequire(import.meta.url);
const { EngineService } = require("@pulumi/pulumi/proto/engine_grpc_pb.js") as {
  EngineService: grpc.ServiceDefinition;
};
const { Empty } = require("google-protobuf/google/protobuf/empty_pb.js") as { Empty: new () => unknown };

/** A line as the engine gets it. */
export interface EngineLine {
  readonly urn: string;
  readonly message: string;
  readonly streamid: number;
  readonly ephemeral: boolean;
}

/** Stands in for Pulumi's engine: keeps the lines that providers log. */
export class StubEngine {
  readonly lines: EngineLine[] = [];
  readonly address: string;
  readonly #server: grpc.Server;
  readonly #arrivals = new EventEmitter();

  private constructor(server: grpc.Server, port: number) {
    this.#server = server;
    this.address = `127.0.0.1:${port}`;
  }

  static async start(): Promise<StubEngine> {
    const server = new grpc.Server();
    const bind = promisify(server.bindAsync.bind(server));
    const port = await bind("127.0.0.1:0", grpc.ServerCredentials.createInsecure());
    const engine = new StubEngine(server, port);
    server.addService(EngineService, {
      log: (call: { request: { toObject(): EngineLine } }, reply: (error: null, value: unknown) => void) => {
        engine.lines.push(call.request.toObject());
        engine.#arrivals.emit("line");
        reply(null, new Empty());
      },
    });
    return engine;
  }

  /** Lines of a resource, as soon as there is one. */
  async linesOf(urn: string): Promise<EngineLine[]> {
    for (;;) {
      const found = this.lines.filter((line) => line.urn === urn);
      if (found.length > 0) return found;
      await once(this.#arrivals, "line");
    }
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}
