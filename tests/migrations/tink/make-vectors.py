"""Writes vectors.json with the Python package tink 1.16, the independent reader and writer of our formats.

Run it only to add vectors: python make-vectors.py > vectors.json; prettier --write vectors.json (needs `pip install "tink[hcvault]==1.16"`).
"""

import base64
import hashlib
import io
import json
import struct

import tink
from tink import aead, cleartext_keyset_handle
from tink.proto import aes_gcm_pb2, tink_pb2


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def key_value(label: str, size: int = 32) -> bytes:
    return hashlib.sha256(label.encode()).digest()[:size]


def key(key_id, *, status=tink_pb2.ENABLED, prefix=tink_pb2.TINK, size=32, type_url=None):
    message = aes_gcm_pb2.AesGcmKey(version=0, key_value=key_value(f"key {key_id}", size))
    return tink_pb2.Keyset.Key(
        key_data=tink_pb2.KeyData(
            type_url=type_url or "type.googleapis.com/google.crypto.tink.AesGcmKey",
            value=message.SerializeToString(),
            key_material_type=tink_pb2.KeyData.SYMMETRIC,
        ),
        status=status,
        key_id=key_id,
        output_prefix_type=prefix,
    )


def handle_of(keyset: tink_pb2.Keyset):
    return cleartext_keyset_handle.read(tink.BinaryKeysetReader(keyset.SerializeToString()))


def associated_data(*parts: str) -> bytes:
    return b"".join(struct.pack(">I", len(part.encode())) + part.encode() for part in parts)


class VaultShapedKek(aead.Aead):
    """What Vault's transit does, as Tink's Vault integration sees it: bytes in, the text `vault:v1:...` out."""

    def __init__(self, value: bytes):
        raw = key(7, prefix=tink_pb2.RAW)
        raw.key_data.value = aes_gcm_pb2.AesGcmKey(key_value=value).SerializeToString()
        self._aead = handle_of(tink_pb2.Keyset(primary_key_id=7, key=[raw])).primitive(aead.Aead)

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        return b"vault:v1:" + base64.b64encode(self._aead.encrypt(plaintext, associated_data))

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        return self._aead.decrypt(base64.b64decode(ciphertext.removeprefix(b"vault:v1:")), associated_data)


def encrypted(handle, kek: bytes) -> bytes:
    stream = io.BytesIO()
    handle.write(tink.BinaryKeysetWriter(stream), VaultShapedKek(kek))
    return stream.getvalue()


def main() -> None:
    aead.register()
    keysets = {
        "one key": tink_pb2.Keyset(primary_key_id=1, key=[key(1)]),
        "largest key id": tink_pb2.Keyset(primary_key_id=0xFFFFFFFF, key=[key(0xFFFFFFFF)]),
        "second key is primary": tink_pb2.Keyset(primary_key_id=0x80000001, key=[key(0x01020304), key(0x80000001)]),
        "one key disabled, one destroyed": tink_pb2.Keyset(
            primary_key_id=11,
            key=[
                key(10, status=tink_pb2.DISABLED),
                key(11),
                tink_pb2.Keyset.Key(key_id=12, status=tink_pb2.DESTROYED, output_prefix_type=tink_pb2.TINK),
            ],
        ),
    }
    contexts = [
        ("dev", "acme", "prompt.body", "018f0f4e-0000-7000-8000-000000000001"),
        ("prod", "größe", "message.body", "ключ-🔑"),
    ]
    plaintexts = [b"", b"\0", "Grüße, 世界 🌍".encode(), bytes(range(256)) * 2]
    vectors = {"keysets": [], "ciphertexts": [], "refusedKeysets": [], "associatedData": []}
    kek = key_value("kek")
    vectors["kek"] = b64(kek)
    for name, keyset in keysets.items():
        handle = handle_of(keyset)
        vectors["keysets"].append(
            {
                "name": name,
                "primaryKeyId": keyset.primary_key_id,
                "keys": [
                    {
                        "id": one.key_id,
                        "status": tink_pb2.KeyStatusType.Name(one.status).lower(),
                        "value": "" if one.status == tink_pb2.DESTROYED else b64(key_value(f"key {one.key_id}")),
                    }
                    for one in keyset.key
                ],
                "keyset": b64(keyset.SerializeToString()),
                "encryptedKeyset": b64(encrypted(handle, kek)),
            }
        )
        primitive = handle.primitive(aead.Aead)
        for plaintext in plaintexts:
            for context in contexts:
                vectors["ciphertexts"].append(
                    {
                        "keyset": name,
                        "context": context,
                        "plaintext": b64(plaintext),
                        "ciphertext": b64(primitive.encrypt(plaintext, associated_data(*context))),
                    }
                )
    vectors["associatedData"] = [{"context": context, "encoded": associated_data(*context).hex()} for context in contexts]
    refused = {
        "a key of 16 bytes": tink_pb2.Keyset(primary_key_id=1, key=[key(1, size=16)]),
        "prefix RAW": tink_pb2.Keyset(primary_key_id=1, key=[key(1, prefix=tink_pb2.RAW)]),
        "prefix CRUNCHY": tink_pb2.Keyset(primary_key_id=1, key=[key(1, prefix=tink_pb2.CRUNCHY)]),
        "another type": tink_pb2.Keyset(
            primary_key_id=1, key=[key(1, type_url="type.googleapis.com/google.crypto.tink.AesSivKey")]
        ),
        "no keys": tink_pb2.Keyset(primary_key_id=1),
        "primary absent": tink_pb2.Keyset(primary_key_id=2, key=[key(1)]),
        "primary disabled": tink_pb2.Keyset(primary_key_id=1, key=[key(1, status=tink_pb2.DISABLED)]),
        "a key id twice": tink_pb2.Keyset(primary_key_id=1, key=[key(1), key(1)]),
        "unknown status": tink_pb2.Keyset(primary_key_id=1, key=[key(1, status=tink_pb2.UNKNOWN_STATUS), key(2)]),
    }
    for name, keyset in refused.items():
        vectors["refusedKeysets"].append({"name": name, "keyset": b64(keyset.SerializeToString())})
    print(json.dumps(vectors, indent=2, ensure_ascii=False))


main()
