import type { PreflightProbes } from "./preflight-probes.ts";

/** Something that would stop `make up` half-way. */
export interface Fault {
  /** What is wrong, with the value seen. */
  readonly what: string;
  /** The command or act that mends it. */
  readonly mend: string;
}

/** Oldest Node that runs TypeScript by itself. */
const oldestNode = [22, 18] as const;
/** Oldest Go that fetches the newer toolchain our modules ask for. */
const oldestGo = [1, 21] as const;
/** Oldest Python that the pinned packages support. */
const oldestPython = [3, 10] as const;
/** GiB for servers, images and logs. */
const runGib = 3;
/** GiB on top for Go's modules, its build cache and the binaries. */
const buildGib = 8;

/**
 * Looks for everything that would stop `make up`, and changes nothing.
 * @returns all faults at once; none means go
 */
export async function preflight(probes: PreflightProbes): Promise<Fault[]> {
  // Elsewhere nothing below applies: one fault, not ten.
  const machine = machineFault(probes);
  if (machine) return [machine];
  const toBuild = await probes.toolsToBuild();
  const faults = [
    nodeFault(probes),
    ...programFaults(probes),
    await goFault(probes, toBuild),
    await pythonFault(probes),
    await dockerFault(probes),
    ...folderFaults(probes, toBuild.length > 0),
    ...diskFaults(probes, toBuild.length > 0),
    ...(await portFaults(probes)),
  ];
  return faults.filter((fault) => fault !== undefined);
}

/** One sentence a fault, for the terminal. */
export const faultSentence = (fault: Fault): string => `${fault.what}; ${fault.mend}.`;

function isOlder(version: string, oldest: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < oldest[0] || (major === oldest[0] && minor < oldest[1]);
}

function machineFault({ machine }: PreflightProbes): Fault | undefined {
  if (machine.system === "linux" && machine.architecture === "x64" && machine.isGlibc) return undefined;
  const libc = machine.system === "linux" && !machine.isGlibc ? " without glibc" : "";
  return {
    what: `This is ${machine.system} on ${machine.architecture}${libc}, and the local platform runs on x86-64 Linux with glibc`,
    mend: "open the repository in its dev container (.devcontainer/devcontainer.json)",
  };
}

function nodeFault({ nodeVersion }: PreflightProbes): Fault | undefined {
  if (!isOlder(nodeVersion, oldestNode)) return undefined;
  return {
    what: `Node ${nodeVersion} is older than ${oldestNode.join(".")} and cannot run TypeScript`,
    mend: "run `make up`, which takes Node 24 from node_modules, or `npm ci` first when that is missing",
  };
}

function programFaults(probes: PreflightProbes): Fault[] {
  const programs = { setpriv: "util-linux", flock: "util-linux", tar: "tar" };
  return Object.entries(programs)
    .filter(([program]) => !probes.hasProgram(program))
    .map(([program, name]) => ({ what: `The program ${program} is missing`, mend: `run \`apt-get install ${name}\`` }));
}

async function goFault(probes: PreflightProbes, toBuild: readonly string[]): Promise<Fault | undefined> {
  if (toBuild.length === 0) return undefined;
  const version = await probes.goVersion();
  if (version !== undefined && !isOlder(version, oldestGo)) return undefined;
  const seen = version === undefined ? "there is no Go" : `Go ${version} is older than ${oldestGo.join(".")}`;
  return {
    what: `${toBuild.join(" and ")} cannot be downloaded here and must be built, but ${seen}`,
    mend: `install Go 1.26 and put its bin folder on PATH, or put ${toBuild.join(" and ")} on PATH`,
  };
}

async function pythonFault(probes: PreflightProbes): Promise<Fault | undefined> {
  if (await probes.isPythonReady()) return undefined;
  const python = await probes.python();
  if (python === undefined) return { what: "There is no python3", mend: "run `apt-get install python3 python3-venv`" };
  if (isOlder(python.version, oldestPython))
    return {
      what: `python3 is ${python.version}, older than ${oldestPython.join(".")}`,
      mend: "put a newer python3 first on PATH",
    };
  if (!python.hasVenv)
    return { what: "python3 cannot make virtual environments", mend: "run `apt-get install python3-venv`" };
  return undefined;
}

async function dockerFault(probes: PreflightProbes): Promise<Fault | undefined> {
  if (await probes.hasDockerDaemon()) return undefined;
  if (!probes.isRoot)
    return {
      what: "No Docker daemon answers, and only root may start one",
      mend: "run `sudo systemctl start docker` and join the group docker, or run `sudo make up`",
    };
  if (probes.hasProgram("apt-get") || (await probes.isDockerEngineReady())) return undefined;
  return {
    what: "No Docker daemon answers, and this system has no apt-get to take the engine from",
    mend: "install Docker with the system's own package manager and start it",
  };
}

function folderFaults(probes: PreflightProbes, mustBuild: boolean): Fault[] {
  const folders = [
    { path: probes.folders.home, use: "the platform's state", mend: "set RC_HOME to a folder that can be written" },
    { path: probes.folders.data, use: "the servers' data", mend: "set XDG_DATA_HOME to a folder that can be written" },
    {
      path: probes.folders.cache,
      use: "the cache of tools",
      mend: "set XDG_CACHE_HOME to a folder that can be written",
    },
    // Go keeps modules and its build cache there.
    ...(mustBuild
      ? [{ path: probes.folders.userHome, use: "Go's caches", mend: "set HOME to a folder that can be written" }]
      : []),
  ];
  return folders
    .filter(({ path }) => !probes.isWritable(path))
    .map(({ path, use, mend }) => ({ what: `${path} is read-only, and ${use} must go there`, mend }));
}

function diskFaults(probes: PreflightProbes, mustBuild: boolean): Fault[] {
  const neededByDisk = new Map<number, { path: string; freeGib: number; neededGib: number }>();
  const need = (path: string, gib: number): void => {
    const { disk, freeGib } = probes.diskOf(path);
    const known = neededByDisk.get(disk);
    neededByDisk.set(disk, { path: known?.path ?? path, freeGib, neededGib: (known?.neededGib ?? 0) + gib });
  };
  need(probes.folders.data, runGib);
  if (mustBuild) need(probes.folders.cache, buildGib);
  return [...neededByDisk.values()]
    .filter(({ freeGib, neededGib }) => freeGib < neededGib)
    .map(({ path, freeGib, neededGib }) => ({
      what: `The disk of ${path} has ${freeGib.toFixed(1)} GiB free, and ${neededGib} GiB are needed`,
      mend: "free some (`docker system prune`, `go clean -cache`) or set RC_HOME, XDG_DATA_HOME and XDG_CACHE_HOME to a larger disk",
    }));
}

async function portFaults(probes: PreflightProbes): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (const { port, server } of await probes.ports())
    if (!(await probes.isPortFree(port)))
      faults.push({
        what: `Port ${port}, chosen for ${server}, is taken by another program`,
        mend: `end that program (\`ss -ltnp 'sport = :${port}'\`), or choose other ports with \`make down && rm ${probes.folders.home}/endpoints.json\``,
      });
  return faults;
}
