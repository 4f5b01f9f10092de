import { text } from "../property.ts";
import type { Plugin } from "../resource-type.ts";
import { container } from "./container.ts";
import { DockerEngine } from "./docker-engine.ts";
import { remoteImage } from "./remote-image.ts";

/** Stand-in of the official `docker` plugin. */
export const plugin: Plugin<DockerEngine> = {
  name: "docker",
  config: {
    host: {
      kind: "string",
      refuse: (host) =>
        /^(unix|tcp):\/\//.test(text(host))
          ? undefined
          : `is "${text(host)}", but the stand-in knows unix:// and tcp://`,
    },
    disableDockerDaemonCheck: { kind: "boolean" },
  },
  connect: (config) =>
    new DockerEngine(text(config["host"]) || process.env["DOCKER_HOST"] || "unix:///var/run/docker.sock"),
  resources: [container, remoteImage],
};
