import type * as sdkTypes from "@aws-sdk/client-s3";
import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import type { BackendFiles } from "./backend-files.ts";

/**
 * An `s3://` backend, Amazon's or one that is compatible with it. Reads the same parameters of the URL as Pulumi does, and takes
 * credentials from the same places (environment, profile, the machine's role).
 */
export async function openBucket(url: string): Promise<BackendFiles> {
  // Loaded only for such a backend: it would be most of the start of every command.
  const sdk = await import("@aws-sdk/client-s3");
  const { hostname, pathname, searchParams } = new URL(url);
  return new BucketFiles(sdk, new sdk.S3Client(settingsOf(searchParams)), hostname, pathname.replace(/^\/+|\/+$/g, ""));
}

/** The client's settings in the query of a backend URL. */
export function settingsOf(query: URLSearchParams): S3ClientConfig {
  const isOn = (...names: string[]) => names.some((name) => query.get(name) === "true");
  const [region, endpoint, profile] = ["region", "endpoint", "profile"].map((name) => query.get(name) ?? undefined);
  const scheme = isOn("disableSSL", "disable_https") ? "http" : "https";
  return {
    ...(region === undefined ? {} : { region }),
    ...(profile === undefined ? {} : { profile }),
    ...(endpoint === undefined ? {} : { endpoint: /^https?:/.test(endpoint) ? endpoint : `${scheme}://${endpoint}` }),
    forcePathStyle: isOn("s3ForcePathStyle", "use_path_style"),
    // Compatible servers know the plain protocol; newer checksums are asked only where they are demanded.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  };
}

class BucketFiles implements BackendFiles {
  readonly #sdk: typeof sdkTypes;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #folder: string;

  constructor(sdk: typeof sdkTypes, client: S3Client, bucket: string, folder: string) {
    this.#sdk = sdk;
    this.#client = client;
    this.#bucket = bucket;
    this.#folder = folder === "" ? "" : `${folder}/`;
  }

  async list(prefix: string): Promise<string[]> {
    const pages = this.#sdk.paginateListObjectsV2(
      { client: this.#client },
      { Bucket: this.#bucket, Prefix: this.#folder + prefix },
    );
    const keys: string[] = [];
    for await (const { Contents = [] } of pages)
      keys.push(...Contents.flatMap(({ Key }) => Key?.slice(this.#folder.length) ?? []));
    return keys.sort();
  }

  async read(key: string): Promise<string | undefined> {
    try {
      const found = await this.#client.send(new this.#sdk.GetObjectCommand(this.#at(key)));
      return await found.Body?.transformToString("utf8");
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  }

  async create(key: string, text: string): Promise<boolean> {
    // The condition is what keeps two writers apart; a server that does not know it is asked first and read back afterwards.
    if ((await this.read(key)) !== undefined) return false;
    try {
      await this.#client.send(
        new this.#sdk.PutObjectCommand({
          ...this.#at(key),
          Body: text,
          ContentType: "application/json",
          IfNoneMatch: "*",
        }),
      );
    } catch (error) {
      if ([409, 412].includes(statusOf(error) ?? 0)) return false;
      throw error;
    }
    return (await this.read(key)) === text;
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  #at(key: string) {
    return { Bucket: this.#bucket, Key: this.#folder + key };
  }
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}
