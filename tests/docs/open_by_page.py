"""Runs the Python of docs/adopt.md against vectors that stock Tink wrote. stdin: {"code", "vectors", "vaultShaped": path}."""

import base64
import json
import sys

import tink

request = json.load(sys.stdin)
vectors = request["vectors"]
page = {}
exec(compile(request["code"], "docs/adopt.md", "exec"), page)

# Vault's transit as Tink's integration sees it, with the vectors' own key.
source = open(request["vaultShaped"], encoding="utf-8").read().split("\ndef main(")[0]
maker = {}
exec(compile(source, request["vaultShaped"], "exec"), maker)
kek = maker["VaultShapedKek"](base64.b64decode(vectors["kek"]))

keysets = {each["name"]: page["keyset_of"](base64.b64decode(each["encryptedKeyset"]), kek) for each in vectors["keysets"]}
answer = {"opened": 0, "wrong": 0, "movedRefused": 0, "sealed": 0, "contexts": 0}
for each in vectors["associatedData"]:
    answer["contexts"] += page["associated_data"](*each["context"]).hex() == each["encoded"]
for each in vectors["ciphertexts"]:
    keyset, sealed, plain = keysets[each["keyset"]], base64.b64decode(each["ciphertext"]), base64.b64decode(each["plaintext"])
    if page["open_body"](keyset, sealed, *each["context"]) == plain:
        answer["opened"] += 1
    else:
        answer["wrong"] += 1
    *context, record_id = each["context"]
    try:
        page["open_body"](keyset, sealed, *context, record_id + "0")
    except tink.TinkError:
        answer["movedRefused"] += 1
    again = page["seal_body"](keyset, plain, *each["context"])
    answer["sealed"] += page["open_body"](keyset, again, *each["context"]) == plain
json.dump(answer, sys.stdout)
