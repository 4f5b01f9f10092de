import { execa } from "execa";

/** The docker command against one daemon. */
export class DockerClient {
  readonly #environment: Record<string, string>;

  /** @param host value for DOCKER_HOST */
  constructor(host: string) {
    // The classic builder: BuildKit would fetch a frontend from a registry.
    this.#environment = { DOCKER_HOST: host, DOCKER_BUILDKIT: "0" };
  }

  /** Id (`sha256:..`) and labels of an image, undefined when the daemon has none of that name. */
  async findImage(name: string): Promise<{ id: string; labels: Record<string, string> } | undefined> {
    const { exitCode, stdout, stderr } = await this.#run(["image", "inspect", name], false);
    if (exitCode !== 0) {
      if (/no such image/i.test(stderr)) return undefined;
      throw new Error(`docker cannot look for ${name}: ${stderr}; is the daemon up? make up`);
    }
    const [image] = JSON.parse(stdout) as [{ Id: string; Config: { Labels: Record<string, string> | null } }];
    return { id: image.Id, labels: image.Config.Labels ?? {} };
  }

  /** Builds a folder with its Dockerfile, without any network, and returns the id of the image. */
  async build(folder: string, name: string): Promise<string> {
    await this.#run(["build", "--network", "none", "--force-rm", "--quiet", "--tag", name, folder], true);
    return (await this.findImage(name))!.id;
  }

  async #run(
    args: readonly string[],
    isRequired: boolean,
  ): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    const { exitCode, stdout, stderr } = await execa("docker", args, { env: this.#environment, reject: false });
    if (isRequired && exitCode !== 0)
      throw new Error(`docker ${args.join(" ")} failed: ${stderr || `exit ${exitCode}`}`);
    return { exitCode: exitCode ?? -1, stdout, stderr };
  }
}
