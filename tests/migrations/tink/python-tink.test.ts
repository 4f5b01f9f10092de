import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { execa } from "execa";
import { Aead } from "../../../migrations/tink/aead.ts";
import { associatedData } from "../../../migrations/tink/associated-data.ts";
import {
  decodeEncryptedKeyset,
  decodeKeyset,
  encodeEncryptedKeyset,
  encodeKeyset,
  generateKeyset,
  type Keyset,
} from "../../../migrations/tink/keyset.ts";
import { kekName, type Transit } from "../../../migrations/vault/transit.ts";
import { getVault } from "../../servers.ts";
import { newTenant, testMount, testTransit } from "../vault/test-vault.ts";

interface Answer {
  readonly encryptedKeyset: string;
  readonly primaryKeyId: number;
  readonly opened: (string | null)[];
  readonly sealed: string[];
}

describe("Python's Tink with Vault", () => {
  const ad = associatedData("dev", "acme", "prompt.body", "1");
  const otherAd = associatedData("dev", "acme", "prompt.body", "2");
  const plains = [Buffer.alloc(0), Buffer.from("Grüße, 世界 🌍"), randomBytes(100_000)];
  const tenant = newTenant();
  let transit: Transit;

  before(async () => {
    transit = await testTransit();
    await transit.ensureKek(tenant);
  });

  it("reads our encrypted keyset, opens what we sealed, and we open what it seals", async () => {
    const first = generateKeyset().withNewKey();
    const keyset = first.withPrimary(first.keys[1]?.id ?? 0);
    const sealed = [...plains.map((plain) => new Aead(keyset).seal(plain, ad)), new Aead(first).seal(Buffer.of(7), ad)];
    const answer = await python({
      encryptedKeyset: base64(await encrypted(keyset)),
      open: [
        ...sealed.map((each) => ({ sealed: base64(each), associatedData: base64(ad) })),
        { sealed: base64(sealed[1] ?? ad), associatedData: base64(otherAd) },
      ],
      seal: plains.map((plain) => ({ plain: base64(plain), associatedData: base64(ad) })),
    });
    assert.equal(answer.primaryKeyId, keyset.primaryKeyId);
    assert.deepEqual(answer.opened, [...plains.map(base64), base64(Buffer.of(7)), null]);
    const opened = answer.sealed.map((each) => new Aead(keyset).open(Buffer.from(each, "base64"), ad));
    assert.deepEqual(opened.map(base64), plains.map(base64));
  });

  it("makes a keyset that we read, byte for byte as we would have written it", async () => {
    const answer = await python({ seal: [{ plain: base64(Buffer.from("hello")), associatedData: base64(ad) }] });
    const encryptedKeyset = Buffer.from(answer.encryptedKeyset, "base64");
    const ciphertext = decodeEncryptedKeyset(encryptedKeyset);
    const plain = await transit.unwrap(tenant, ciphertext);
    const keyset = decodeKeyset(plain);
    assert.ok(encodeKeyset(keyset).equals(plain));
    assert.ok(encodeEncryptedKeyset(ciphertext).equals(encryptedKeyset));
    assert.equal(keyset.primaryKeyId, answer.primaryKeyId);
    const sealed = Buffer.from(answer.sealed[0] ?? "", "base64");
    assert.equal(new Aead(keyset).open(sealed, ad).toString(), "hello");
  });

  it("reads a keyset that was rewrapped after a rotation of the KEK", async () => {
    const keyset = generateKeyset();
    const before = decodeEncryptedKeyset(await encrypted(keyset));
    const { latestVersion } = await transit.rotate(tenant);
    const after = await transit.rewrap(tenant, before);
    assert.match(after, new RegExp(`^vault:v${latestVersion}:`));
    const sealed = new Aead(keyset).seal(Buffer.from("hello"), ad);
    const answer = await python({
      encryptedKeyset: base64(encodeEncryptedKeyset(after)),
      open: [{ sealed: base64(sealed), associatedData: base64(ad) }],
    });
    assert.deepEqual(answer.opened, [base64(Buffer.from("hello"))]);
  });

  async function encrypted(keyset: Keyset): Promise<Buffer> {
    return encodeEncryptedKeyset(await transit.wrap(tenant, encodeKeyset(keyset)));
  }

  async function python(request: object): Promise<Answer> {
    const script = `${import.meta.dirname}/tink_by_python.py`;
    const input = JSON.stringify({ ...getVault(), mount: testMount, kek: kekName(tenant), ...request });
    const { stdout } = await execa(process.env["RC_PYTHON"] as string, [script], { input });
    return JSON.parse(stdout) as Answer;
  }
});

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
