"""Opens a sealed dump with stock Tink, as docs/backup.md says: JSON on stdin names Vault, the keyset and the files."""

import base64
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
context = base64.b64decode(request["associatedData"])
primitive = handle.primitive(streaming_aead.StreamingAead)
with open(request["sealed"], "rb") as sealed, primitive.new_decrypting_stream(sealed, context) as plain:
    with open(request["opened"], "wb") as opened:
        shutil.copyfileobj(plain, opened)
