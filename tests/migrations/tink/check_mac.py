"""Stock Tink for Python checks MACs: one JSON request on stdin (a keyset in clear, pairs of data and MAC), answers on stdout."""

import base64
import json
import sys

import tink
from tink import cleartext_keyset_handle, mac

request = json.load(sys.stdin)
mac.register()
handle = cleartext_keyset_handle.read(tink.BinaryKeysetReader(base64.b64decode(request["keyset"])))
primitive = handle.primitive(mac.Mac)


def is_genuine(item: dict) -> bool:
    try:
        primitive.verify_mac(base64.b64decode(item["mac"]), base64.b64decode(item["data"]))
        return True
    except tink.TinkError:
        return False


signed = base64.b64encode(primitive.compute_mac(base64.b64decode(request["sign"]))).decode()
json.dump({"checked": [is_genuine(item) for item in request["check"]], "signed": signed}, sys.stdout)
