"""Stock Tink for Python on the other side of a test: one JSON request on stdin, one JSON answer on stdout.

The request names Vault and the KEK, and either an encrypted keyset of ours or nothing, in which case Tink makes one.
"""

import base64
import io
import json
import sys

import hvac
import tink
from tink import aead
from tink.integration import hcvault


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


request = json.load(sys.stdin)
aead.register()
client = hvac.Client(url=request["address"], token=request["token"])
kek = hcvault.new_aead(f"{request['mount']}/keys/{request['kek']}", client)
answer = {}
if "encryptedKeyset" in request:
    handle = tink.read_keyset_handle(tink.BinaryKeysetReader(base64.b64decode(request["encryptedKeyset"])), kek)
else:
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    stream = io.BytesIO()
    handle.write(tink.BinaryKeysetWriter(stream), kek)
    answer["encryptedKeyset"] = b64(stream.getvalue())
primitive = handle.primitive(aead.Aead)
answer["primaryKeyId"] = handle.keyset_info().primary_key_id
answer["opened"] = []
for item in request.get("open", []):
    try:
        plain = primitive.decrypt(base64.b64decode(item["sealed"]), base64.b64decode(item["associatedData"]))
        answer["opened"].append(b64(plain))
    except tink.TinkError:
        answer["opened"].append(None)
answer["sealed"] = [
    b64(primitive.encrypt(base64.b64decode(item["plain"]), base64.b64decode(item["associatedData"])))
    for item in request.get("seal", [])
]
json.dump(answer, sys.stdout)
