import assert from "node:assert/strict";
import { execa } from "execa";
import { RangeMacs } from "../../../migrations/ledger/range-mac.ts";
import type { RangeRow } from "../../../migrations/ledger/range.ts";
import { Aead } from "../../../migrations/tink/aead.ts";
import { decodeKeyset, encodeKeyset, generateKeyset, KeysetError } from "../../../migrations/tink/keyset.ts";
import { Mac } from "../../../migrations/tink/mac.ts";

describe("mac", () => {
  const keyset = generateKeyset("HMAC_SHA256").withNewKey();
  const mac = new Mac(keyset);
  const data = Buffer.from("a row of the ledger");

  it("is checked by Python's Tink, and checks what that signs", async () => {
    const rotated = new Mac(keyset.withPrimary(keyset.keys[1]?.id ?? 0));
    const check = [
      { mac: mac.sign(data), data },
      { mac: rotated.sign(data), data },
      { mac: mac.sign(data), data: Buffer.from("another row") },
    ].map((item) => ({ mac: item.mac.toString("base64"), data: item.data.toString("base64") }));
    const request = { keyset: encodeKeyset(keyset).toString("base64"), check, sign: data.toString("base64") };
    const { stdout } = await execa(process.env["RC_PYTHON"] as string, [`${import.meta.dirname}/check_mac.py`], {
      input: JSON.stringify(request),
    });
    const answer = JSON.parse(stdout) as { checked: boolean[]; signed: string };
    assert.deepEqual(answer.checked, [true, true, false]);
    assert.equal(answer.signed, mac.sign(data).toString("base64"));
    assert.ok(rotated.isGenuine(Buffer.from(answer.signed, "base64"), data));
  });

  it("refuses every changed byte, a cut, and a key that is not there", () => {
    const signed = mac.sign(data);
    for (let at = 0; at < signed.length; at += 1) {
      const changed = Buffer.from(signed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      assert.equal(mac.isGenuine(changed, data), false, `byte ${at}`);
    }
    assert.equal(mac.isGenuine(signed.subarray(0, -1), data), false);
    assert.equal(new Mac(generateKeyset("HMAC_SHA256")).isGenuine(signed, data), false);
  });

  it("keeps signing and sealing keysets apart", () => {
    assert.equal(decodeKeyset(encodeKeyset(keyset)).type, "HMAC_SHA256");
    assert.throws(() => new Mac(generateKeyset()), KeysetError);
    assert.throws(() => new Aead(keyset), KeysetError);
  });

  it("covers every field of a ledger row that the engine decides by, its tenant and its environment", () => {
    const macs = new RangeMacs(mac, "dev", "acme");
    const row: RangeRow = {
      mirror: "m",
      pair: "p",
      ordinal: 1,
      lower: ["a"],
      upper: null,
      rows: 2,
      bytes: 3,
      keysetVersion: 1,
      sinceEpoch: 4n,
      copiedEpoch: 5n,
      verifiedEpoch: 6n,
      repairs: 0,
      root: Buffer.from("root"),
      mac: null,
    };
    const signed = { ...row, mac: macs.sign(row) };
    assert.ok(macs.isGenuine(signed));
    const changes: Partial<RangeRow>[] = [
      { mirror: "n" },
      { pair: "q" },
      { ordinal: 2 },
      { lower: null },
      { upper: ["z"] },
      { rows: 3 },
      { bytes: 4 },
      { keysetVersion: 2 },
      { sinceEpoch: 3n },
      { copiedEpoch: 4n },
      { verifiedEpoch: null },
      { repairs: 1 },
      { root: null },
      { mac: null },
    ];
    for (const change of changes) assert.equal(macs.isGenuine({ ...signed, ...change }), false, Object.keys(change)[0]);
    assert.equal(new RangeMacs(mac, "dev", "other").isGenuine(signed), false);
    assert.equal(new RangeMacs(mac, "prod", "acme").isGenuine(signed), false);
  });
});
