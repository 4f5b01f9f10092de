import { join } from "node:path";

/** Ports that one Milvus takes, in a row: clients, health, its etcd, and its parts among themselves. */
export const milvusPorts = 12;

/** Where a Milvus keeps its data, and the first of its `milvusPorts` ports. */
export interface MilvusPlace {
  readonly folder: string;
  readonly firstPort: number;
}

/** Port that answers `/healthz`. */
export const milvusHealthPort = ({ firstPort }: Pick<MilvusPlace, "firstPort">): number => firstPort + 1;

/** Files that Milvus reads in its configuration folder, by name; JSON is YAML. */
export function milvusConfiguration(place: MilvusPlace): Readonly<Record<string, string>> {
  const [client, , etcdClient, etcdPeer, ...parts] = Array.from(
    { length: milvusPorts },
    (_, nth) => place.firstPort + nth,
  ) as [number, number, number, number, ...number[]];
  const [inside, rootCoord, queryCoord, queryNode, dataCoord, dataNode, indexCoord, indexNode] = parts;
  const ip = "127.0.0.1";
  const data = (name: string): string => join(place.folder, name);
  const etcdUrl = (port: number): string => `http://${ip}:${port}`;
  const milvus = {
    etcd: {
      endpoints: `${ip}:${etcdClient}`,
      rootPath: "milvus",
      log: { level: "warn", path: "stdout" },
      // Without a file of its own the embedded etcd takes 2379 and 2380 on every address.
      config: { path: join(place.folder, "configs", "etcd.yaml") },
      use: { embed: true },
      data: { dir: data("etcd") },
    },
    metastore: { type: "etcd" },
    localStorage: { path: data("files") },
    mq: { type: "rocksmq" },
    rocksmq: { path: data("rocksmq") },
    // The default of 200 ms is the least time of every strong read.
    proxy: {
      ip,
      port: client,
      internalPort: inside,
      timeTickInterval: 20,
      maxTaskNum: 1024,
      accessLog: { enable: false },
    },
    rootCoord: { ip, port: rootCoord, enableActiveStandby: false },
    queryCoord: { ip, port: queryCoord },
    queryNode: { ip, port: queryNode },
    dataCoord: { ip, port: dataCoord },
    dataNode: { ip, port: dataNode },
    indexCoord: { bindIndexNodeMode: { enable: false, address: `${ip}:${indexCoord}` } },
    indexNode: { ip, port: indexNode },
    log: { level: "warn", file: { rootPath: "" }, stdout: true },
    common: {
      storageType: "local",
      gracefulStopTimeout: 3,
      // After a kill its parts wait until the sessions of the ones before have run out. Shorter ones run out by themselves on a
      // busy machine, and Milvus then ends itself (seen with 5 s).
      session: { ttl: 30, retryTimes: 30 },
      security: { authorizationEnabled: true },
    },
    quotaAndLimits: { enabled: true },
  };
  const etcd = {
    name: "local",
    "data-dir": data("etcd"),
    "listen-client-urls": etcdUrl(etcdClient),
    "advertise-client-urls": etcdUrl(etcdClient),
    "listen-peer-urls": etcdUrl(etcdPeer),
    "initial-advertise-peer-urls": etcdUrl(etcdPeer),
    "initial-cluster": `local=${etcdUrl(etcdPeer)}`,
    "log-level": "warn",
  };
  return {
    "milvus.yaml": `${JSON.stringify(milvus, undefined, 2)}\n`,
    "etcd.yaml": `${JSON.stringify(etcd, undefined, 2)}\n`,
    "glog.conf": "--logtostderr=true\n--minloglevel=2\n",
  };
}
