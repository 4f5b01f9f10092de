"""Stock Tink's streaming AEAD on the other side of a test.

The request (JSON on stdin) names Vault, the KEK, an encrypted keyset, the associated data, and files: `open` is opened into
`opened`, `seal` is sealed into `sealed`. The answer is the SHA-256 of what was opened, or the name of the error.
"""

import base64
import hashlib
import json
import shutil
import sys

import hvac
import tink
from tink import aead, streaming_aead
from tink.integration import hcvault

request = json.load(sys.stdin)
aead.register()
streaming_aead.register()
client = hvac.Client(url=request["address"], token=request["token"])
kek = hcvault.new_aead(f"{request['mount']}/keys/{request['kek']}", client)
keyset = base64.b64decode(request["encryptedKeyset"])
handle = tink.read_keyset_handle(tink.BinaryKeysetReader(keyset), kek)
primitive = handle.primitive(streaming_aead.StreamingAead)
associated_data = base64.b64decode(request["associatedData"])
answer = {}
if "open" in request:
    digest = hashlib.sha256()
    try:
        with open(request["open"], "rb") as sealed, primitive.new_decrypting_stream(sealed, associated_data) as plain:
            while piece := plain.read(1 << 20):
                digest.update(piece)
        answer["sha256"] = digest.hexdigest()
    except tink.TinkError as error:
        answer["error"] = type(error).__name__
if "seal" in request:
    with open(request["seal"], "rb") as plain, open(request["sealed"], "wb") as target:
        with primitive.new_encrypting_stream(target, associated_data) as sealing:
            shutil.copyfileobj(plain, sealing)
json.dump(answer, sys.stdout)
