import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { platformEnvironment, writeEnvironmentFile } from "../../local/environment-file.ts";
import type { EnvironmentArgs } from "../../local/environment-file.ts";

describe("the platform's environment", () => {
  let args: EnvironmentArgs;
  beforeEach(async () => {
    // A folder with everything that a shell might take for its own.
    const homeFolder = await mkdtemp(join(tmpdir(), "rc-env-it's $HOME "));
    args = {
      homeFolder,
      endpoints: {
        postgresPort: 1,
        vaultPort: 2,
        vaultClusterPort: 3,
        gatewayPort: 4,
        gatewayAdminPort: 5,
        fleetBasePort: 600,
      },
      postgresUrl: "postgresql://rc_operator:a%27b@127.0.0.1:1/postgres",
      vaultAddress: "http://127.0.0.1:2",
      vaultToken: "a'b\"$(exit 1)`c`",
      dockerHost: "unix:///run/x.sock",
      python: "/cache/python",
      passphraseFile: join(homeFolder, "secrets", "pulumi-passphrase"),
      binFolders: ["/cache/pulumi/bin", "/cache/vault/bin"],
    };
  });
  afterEach(() => rm(args.homeFolder, { recursive: true, force: true }));

  it("is the same when sourced by a shell as when handed to a command, whatever the values hold", async () => {
    const file = await writeEnvironmentFile(args);
    const inherited = { PATH: "/usr/bin:/bin", PULUMI_CONFIG_PASSPHRASE: "the user's own" };
    const { stdout } = await execa("sh", ["-c", '. "$1"; env -0', "sh", file], { env: inherited, extendEnv: false });
    const sourced = Object.fromEntries(
      stdout
        .split("\0")
        .filter(Boolean)
        .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
    );
    const { PWD, OLDPWD, SHLVL, _, ...rest } = sourced;
    assert.deepEqual(rest, platformEnvironment(args, inherited), `${PWD} ${OLDPWD} ${SHLVL} ${_}`);
    assert.equal(rest["RC_VAULT_TOKEN"], args.vaultToken);
    assert.equal(rest["RC_GATEWAY_URL"], "http://127.0.0.1:4");
    assert.equal(rest["PULUMI_CONFIG_PASSPHRASE"], undefined);
  });

  it("is readable by its owner alone", async () => {
    assert.equal((await stat(await writeEnvironmentFile(args))).mode & 0o777, 0o600);
  });

  it("does not make PATH longer when it was sourced before", () => {
    const once = platformEnvironment(args, { PATH: "/usr/bin" });
    assert.deepEqual(platformEnvironment(args, once), once);
    assert.match(once["PATH"] as string, /node_modules\/\.bin:\/cache\/pulumi\/bin:\/cache\/vault\/bin:\/usr\/bin$/);
  });
});
