#!/usr/bin/env python3
"""Makes cwt.json: CWTs and proofs by other implementations than ours.

Needs the Python packages cwt, pycose, cbor2 and cryptography (made with cwt 3.3, pycose 1.1, cbor2 5.9).
Keys are made anew on each run, so each run gives another file; all of them are for tests only.

    python3 make_cwt.py > cwt.json
"""

import base64
import json
import secrets

import cbor2
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cwt import COSE, COSEKey, CWT
from pycose.headers import IV, KID, Algorithm
from pycose.keys import EC2Key, OKPKey, SymmetricKey
from pycose.messages import Enc0Message, Mac0Message, Sign1Message
import pycose.algorithms as algorithms

ISSUER = "https://as.example"
AUDIENCE = "broker.example"
# The time of validation, and a token's life around it.
NOW = 1_700_000_000
MESSAGE = bytes(range(32))
SCOPE = [["sensors/#", ["pub"]]]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# The issuer's keys: private halves here, what the broker knows of them in JWKS.
ED = ed25519.Ed25519PrivateKey.generate()
EC = ec.generate_private_key(ec.SECP256R1())
ED_X = ED.public_key().public_bytes_raw()
ED_D = ED.private_bytes_raw()
EC_X = EC.public_key().public_numbers().x.to_bytes(32, "big")
EC_Y = EC.public_key().public_numbers().y.to_bytes(32, "big")
EC_D = EC.private_numbers().private_value.to_bytes(32, "big")
SYMMETRIC = {
    "HMAC 256/256": ("mac", secrets.token_bytes(32)),
    "HMAC 256/64": ("mac-64", secrets.token_bytes(32)),
    "A128GCM": ("gcm-128", secrets.token_bytes(16)),
    "A256GCM": ("gcm-256", secrets.token_bytes(32)),
    "AES-CCM-16-64-128": ("ccm", secrets.token_bytes(16)),
}
JWKS = {"keys": [
    {"kty": "OKP", "crv": "Ed25519", "kid": "eddsa", "x": b64(ED_X)},
    {"kty": "EC", "crv": "P-256", "kid": "es256", "x": b64(EC_X), "y": b64(EC_Y)},
] + [
    {"kty": "oct", "kid": kid, "alg": name, "k": b64(key)} for name, (kid, key) in SYMMETRIC.items()
]}

# The client's keys.
CLIENT_ED = ed25519.Ed25519PrivateKey.generate()
CLIENT_EC = ec.generate_private_key(ec.SECP256R1())
CLIENT_OCT = secrets.token_bytes(32)
X, Y = (n.to_bytes(32, "big") for n in (CLIENT_EC.public_key().public_numbers().x, CLIENT_EC.public_key().public_numbers().y))


def prove_ed():
    return CLIENT_ED.sign(MESSAGE)


def prove_ec():
    r, s = utils.decode_dss_signature(CLIENT_EC.sign(MESSAGE, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def prove_oct():
    mac = hmac.HMAC(CLIENT_OCT, hashes.SHA256())
    mac.update(MESSAGE)
    return mac.finalize()


OKP_KEY = {1: 1, -1: 6, -2: CLIENT_ED.public_key().public_bytes_raw(), 2: b"device-7"}
EC2_KEY = {1: 2, -1: 1, -2: X, -3: Y}
COMPRESSED_KEY = {1: 2, -1: 1, -2: X, -3: bool(Y[31] & 1)}
OCT_KEY = {1: 4, -1: CLIENT_OCT, 3: 5}


def claims(cnf, **more):
    return {1: ISSUER, 2: "device-7", 3: AUDIENCE, 4: NOW + 60, 6: NOW - 5, 8: cnf, 9: cbor2.dumps(SCOPE), **more}


def encrypted_key():
    kid, key = SYMMETRIC["AES-CCM-16-64-128"]
    message = Enc0Message(
        phdr={Algorithm: algorithms.AESCCM1664128}, uhdr={KID: kid.encode(), IV: secrets.token_bytes(13)},
        payload=cbor2.dumps(OCT_KEY), key=SymmetricKey(k=key))
    return cbor2.loads(message.encode(tag=False))


# ---- tokens by python-cwt ---------------------------------------------------------------------------------

def cwt_key(name):
    if name == "EdDSA":
        return COSEKey.new({1: 1, -1: 6, -2: ED_X, -4: ED_D, 2: b"eddsa", 3: -8})
    if name == "ES256":
        return COSEKey.new({1: 2, -1: 1, -2: EC_X, -3: EC_Y, -4: EC_D, 2: b"es256", 3: -7})
    kid, key = SYMMETRIC[name]
    number = {"HMAC 256/256": 5, "HMAC 256/64": 4, "A128GCM": 1, "A256GCM": 3, "AES-CCM-16-64-128": 10}[name]
    return COSEKey.new({1: 4, -1: key, 2: kid.encode(), 3: number})


def by_cwt(name, payload, tag_of_cwts):
    cose = COSE.new(alg_auto_inclusion=True, kid_auto_inclusion=True)
    key = cwt_key(name)
    if name in ("EdDSA", "ES256"):
        token = cose.encode_and_sign(payload, key)
    elif name.startswith("HMAC"):
        token = cose.encode_and_mac(payload, key)
    else:
        token = cose.encode_and_encrypt(payload, key)
    return b"\xd8\x3d" + token if tag_of_cwts else token


# ---- tokens by pycose ------------------------------------------------------------------------------------

PYCOSE = {
    "EdDSA": algorithms.EdDSA, "ES256": algorithms.Es256, "HMAC 256/256": algorithms.HMAC256,
    "HMAC 256/64": algorithms.HMAC25664, "A128GCM": algorithms.A128GCM, "A256GCM": algorithms.A256GCM,
    "AES-CCM-16-64-128": algorithms.AESCCM1664128,
}


def by_pycose(name, payload, tag_of_cwts, phdr=None, uhdr=None):
    phdr = {Algorithm: PYCOSE[name]} if phdr is None else phdr
    uhdr = {} if uhdr is None else uhdr
    if name == "EdDSA":
        token = Sign1Message(phdr=phdr, uhdr=uhdr, payload=payload, key=OKPKey(crv="ED25519", x=ED_X, d=ED_D)).encode()
    elif name == "ES256":
        token = Sign1Message(
            phdr=phdr, uhdr=uhdr, payload=payload, key=EC2Key(crv="P_256", x=EC_X, y=EC_Y, d=EC_D)).encode()
    elif name.startswith("HMAC"):
        token = Mac0Message(phdr=phdr, uhdr=uhdr, payload=payload, key=SymmetricKey(k=SYMMETRIC[name][1])).encode()
    else:
        phdr = {**phdr, IV: secrets.token_bytes(13 if "CCM" in name else 12)}
        token = Enc0Message(phdr=phdr, uhdr=uhdr, payload=payload, key=SymmetricKey(k=SYMMETRIC[name][1])).encode()
    return b"\xd8\x3d" + token if tag_of_cwts else token


CASES = []


def case(name, token, key, proof):
    CASES.append({"name": name, "token": token.hex(), "thumbprint_of": key, "proof": proof.hex()})


# Every form with every algorithm, by both, with and without the tag of CWTs, the client's key as each method has it.
for maker in (by_cwt, by_pycose):
    for number, name in enumerate(PYCOSE):
        is_encrypted = "GCM" in name or "CCM" in name
        for tag in (False, True):
            label = f"{maker.__name__}, {name}, {'61' if tag else 'no 61'}"
            case(f"{label}, OKP", maker(name, cbor2.dumps(claims({1: OKP_KEY})), tag), "okp", prove_ed())
            case(f"{label}, EC2", maker(name, cbor2.dumps(claims({1: EC2_KEY})), tag), "ec2", prove_ec())
            case(f"{label}, compressed", maker(name, cbor2.dumps(claims({1: COMPRESSED_KEY})), tag), "ec2", prove_ec())
            case(f"{label}, kid", maker(name, cbor2.dumps(claims({3: b"known"})), tag), "known", prove_oct())
            case(f"{label}, encrypted", maker(name, cbor2.dumps(claims({2: encrypted_key()})), tag), "oct", prove_oct())
            if is_encrypted:
                case(f"{label}, in clear", maker(name, cbor2.dumps(claims({1: OCT_KEY})), tag), "oct", prove_oct())
                for inner in ("EdDSA", "ES256", "HMAC 256/256", "HMAC 256/64"):
                    nested = maker(inner, cbor2.dumps(claims({1: OCT_KEY})), False)
                    case(f"{label} around {inner}", maker(name, nested, tag), "oct", prove_oct())

# What a scope and a time may look like besides.
case("scope in place", by_pycose("EdDSA", cbor2.dumps(claims({1: OKP_KEY}) | {9: SCOPE}), True), "okp", prove_ed())
case("audiences", by_pycose("EdDSA", cbor2.dumps(claims({1: OKP_KEY}) | {3: ["x", AUDIENCE]}), True), "okp", prove_ed())
case("fraction", by_pycose("EdDSA", cbor2.dumps(claims({1: OKP_KEY}) | {4: NOW + 60.5}), True), "okp", prove_ed())
case("kid protected", by_pycose("EdDSA", cbor2.dumps(claims({1: OKP_KEY})), True,
                                phdr={Algorithm: algorithms.EdDSA, KID: b"eddsa"}), "okp", prove_ed())

# ---- what has to be refused ------------------------------------------------------------------------------

REFUSED = []
GOOD = cbor2.dumps(claims({1: OKP_KEY}))


def sign1(protected, unprotected, payload=GOOD, signature=None):
    """A COSE_Sign1 with whatever headers, and a good signature over them."""
    if signature is None:
        signature = ED.sign(cbor2.dumps(["Signature1", protected, b"", payload or b""]))
    return cbor2.CBORTag(18, [protected, unprotected, payload, signature])


def refused(code, token):
    REFUSED.append({"code": code, "token": (token if isinstance(token, bytes) else cbor2.dumps(token)).hex()})


ALG = cbor2.dumps({1: -8})
refused("header-critical", sign1(cbor2.dumps({1: -8, 2: [99], 99: 1}), {}))
refused("header-critical", sign1(cbor2.dumps({1: -8, 2: [1]}), {}))
refused("cose-malformed", sign1(cbor2.dumps({1: -8, 2: []}), {}))
refused("cose-header-unprotected", sign1(ALG, {2: [99]}))
refused("cose-header-unprotected", sign1(cbor2.dumps({}), {1: -8}))
refused("cose-header-unprotected", sign1(b"", {1: -8}))
refused("cose-header-unprotected", sign1(ALG, {5: bytes(12)}))
refused("cose-header-unprotected", sign1(ALG, {33: b"certificate"}))
refused("cose-header-unprotected", sign1(ALG, {"x": 1}))
refused("cose-header-twice", sign1(ALG, {1: -8}))
refused("cose-header-twice", sign1(cbor2.dumps({1: -8, 4: b"eddsa"}), {4: b"eddsa"}))
refused("header-member-malformed", sign1(b"", {}))
refused("header-member-malformed", sign1(cbor2.dumps({4: b"eddsa"}), {}))
refused("header-member-malformed", sign1(cbor2.dumps({1: -8, 6: b"iv"}), {}))
refused("cose-payload-detached", sign1(ALG, {}, payload=None))
refused("signature-length", sign1(ALG, {}, signature=b""))
refused("signature-length", sign1(ALG, {}, signature=bytes(63)))
refused("signature-wrong", sign1(ALG, {}, signature=bytes(64)))
refused("signature-wrong", sign1(cbor2.dumps({1: -7}), {}, signature=bytes(64)))
refused("key-unknown", sign1(ALG, {4: b"another"}))
refused("algorithm-key-mismatch", sign1(ALG, {4: b"es256"}))
refused("algorithm-key-mismatch", sign1(ALG, {4: b"mac"}))
refused("algorithm-unsupported", sign1(cbor2.dumps({1: -36}), {}))
refused("algorithm-unsupported", sign1(cbor2.dumps({1: "none"}), {}))
refused("algorithm-unsupported", sign1(cbor2.dumps({1: 0}), {}))
refused("algorithm-unsupported", sign1(cbor2.dumps({1: -70000}), {}))
refused("header-member-malformed", sign1(cbor2.dumps({1: b"EdDSA"}), {}))
refused("cose-algorithm-misplaced", sign1(cbor2.dumps({1: 5}), {}))
refused("cose-algorithm-misplaced", sign1(cbor2.dumps({1: 1}), {}))
refused("cose-malformed", sign1(ALG, {4: b""}))
refused("cose-malformed", sign1(ALG, {4: "eddsa"}))
# Labels twice, lengths that are not known or not in their shortest form, bytes behind.
refused("cwt-not-cbor", sign1(b"\xa2\x01\x27\x01\x27", {}))
refused("cwt-not-cbor", sign1(b"\xbf\x01\x27\xff", {}))
refused("cwt-not-cbor", sign1(b"\xa1\x01\x38\x07", {}))
refused("cwt-not-cbor", sign1(b"\xa1\x01\x27\x00", {}))
refused("claims-not-cbor", sign1(ALG, {}, payload=GOOD + b"\x00"))
refused("claims-not-cbor", sign1(ALG, {}, payload=b"\xbf" + GOOD[1:] + b"\xff"))
refused("claims-not-cbor", sign1(ALG, {}, payload=b"\xa2\x01\x61a\x01\x61b"))
refused("claims-not-cbor", sign1(ALG, {}, payload=cbor2.dumps([1])))
WHOLE = cbor2.dumps(sign1(ALG, {}))
refused("cwt-not-cbor", WHOLE + b"\x00")
refused("cwt-not-cbor", WHOLE[:-1])
refused("token-not-jwt", b"\xd2\x9f" + WHOLE[2:] + b"\xff")
refused("token-not-jwt", b"\xd8\x12" + WHOLE[1:])
refused("token-not-jwt", WHOLE[1:])
refused("token-not-jwt", b"\xd8\x3d\xd8\x3d" + WHOLE)
refused("token-not-jwt", b"\xd8\x62" + WHOLE[1:])
refused("cwt-not-cbor", b"\xd2\x84\x58\x03" + WHOLE[3:])
# A MAC under a public key, the whole of it or what JOSE would take for one.
refused("algorithm-key-mismatch", cbor2.CBORTag(17, [cbor2.dumps({1: 5, 4: b"eddsa"}), {}, GOOD, bytes(32)]))
refused("signature-length", cbor2.CBORTag(17, [cbor2.dumps({1: 5, 4: b"mac"}), {}, GOOD, bytes(8)]))
refused("signature-length", cbor2.CBORTag(17, [cbor2.dumps({1: 4, 4: b"mac-64"}), {}, GOOD, b""]))
refused("signature-wrong", cbor2.CBORTag(17, [cbor2.dumps({1: 4, 4: b"mac-64"}), {}, GOOD, bytes(8)]))
refused("cose-algorithm-misplaced", cbor2.CBORTag(17, [ALG, {}, GOOD, bytes(64)]))
# Encryption.
KEY = SYMMETRIC["A128GCM"]
refused("cwt-undecryptable", cbor2.CBORTag(16, [cbor2.dumps({1: 1, 5: bytes(12)}), {}, bytes(64)]))
refused("cwt-key-missing", cbor2.CBORTag(16, [cbor2.dumps({1: 1, 4: b"nobody", 5: bytes(12)}), {}, bytes(64)]))
refused("cwt-key-missing", cbor2.CBORTag(16, [cbor2.dumps({1: 1, 4: b"mac", 5: bytes(12)}), {}, bytes(64)]))
refused("header-member-malformed", cbor2.CBORTag(16, [cbor2.dumps({1: 1, 5: bytes(13)}), {}, bytes(64)]))
refused("header-member-malformed", cbor2.CBORTag(16, [cbor2.dumps({1: 1}), {}, bytes(64)]))
refused("cose-header-twice", cbor2.CBORTag(16, [cbor2.dumps({1: 1, 5: bytes(12)}), {5: bytes(12)}, bytes(64)]))
refused("cose-malformed", cbor2.CBORTag(16, [cbor2.dumps({1: 1}), {5: bytes(12), 4: b"gcm-128"}, bytes(64)]))
refused("cose-payload-detached", cbor2.CBORTag(16, [cbor2.dumps({1: 1, 5: bytes(12)}), {}, None]))
refused("token-nested", by_pycose("A128GCM", by_pycose("A256GCM", GOOD, False), False))
refused("signature-wrong", by_pycose("A128GCM", cbor2.dumps(sign1(ALG, {}, signature=bytes(64))), False))
# Claims and confirmations.
for code, changed in [
    ("issuer-missing", {1: None}),
    ("claim-malformed", {1: 7}),
    ("issuer-unknown", {1: "https://attacker.example"}),
    ("audience-missing", {3: None}),
    ("audience-foreign", {3: "another.example"}),
    ("claim-malformed", {3: b"broker.example"}),
    ("token-expired", {4: NOW - 60}),
    ("claim-malformed", {4: str(NOW + 60)}),
    ("claim-malformed", {4: cbor2.CBORTag(1, NOW + 60)}),
    ("claim-malformed", {4: -1}),
    ("token-not-yet-valid", {5: NOW + 60}),
    ("token-from-the-future", {6: NOW + 60}),
    ("expiry-missing", {4: None}),
    ("claim-malformed", {2: b"device-7"}),
    ("subject-unusable", {2: "a\x07b"}),
    ("bearer-refused", {8: None}),
    ("confirmation-malformed", {8: 7}),
    ("confirmation-malformed", {8: {}}),
    ("confirmation-malformed", {8: {1: b"key"}}),
    ("confirmation-malformed", {8: {3: "known"}}),
    ("confirmation-unsupported", {8: {5: b"thumbprint"}}),
    ("confirmation-ambiguous", {8: {1: OKP_KEY, 3: b"known"}}),
    ("confirmation-key-in-clear", {8: {1: OCT_KEY}}),
    ("confirmation-key-private", {8: {1: {**OKP_KEY, -4: bytes(32)}}}),
    ("confirmation-key-unusable", {8: {1: {**OKP_KEY, -1: 7}}}),
    ("confirmation-key-unusable", {8: {1: {1: 3, -1: bytes(256), -2: b"\x01\x00\x01"}}}),
    ("confirmation-key-unknown", {8: {3: b"eddsa"}}),
    ("jwe-malformed", {8: {2: b"key"}}),
    ("jwe-unsupported", {8: {2: [cbor2.dumps({1: 2, 5: bytes(12)}), {}, bytes(64)]}}),
    ("jwe-extension", {8: {2: [cbor2.dumps({1: 1, 2: [99], 5: bytes(12)}), {}, bytes(64)]}}),
    ("jwe-key-missing", {8: {2: [cbor2.dumps({1: 1, 4: b"x", 5: bytes(12)}), {}, bytes(64)]}}),
    ("jwe-undecryptable", {8: {2: [cbor2.dumps({1: 1, 5: bytes(12)}), {}, bytes(64)]}}),
    ("jwe-not-a-key", {8: {2: cbor2.loads(by_pycose("A128GCM", GOOD, False)).value}}),
    ("scope-not-aif", {9: "sensors"}),
    ("scope-not-aif", {9: b"\xff"}),
    ("scope-not-aif", {9: {"sensors/#": ["pub"]}}),
    ("scope-unknown-permission", {9: [["a", ["read"]]]}),
    ("scope-empty-permissions", {9: [["a", []]]}),
    ("scope-malformed-filter", {9: [["a/#/b", ["pub"]]]}),
]:
    map_ = {label: value for label, value in {**claims({1: OKP_KEY}), **changed}.items() if value is not None}
    refused(code, sign1(ALG, {}, payload=cbor2.dumps(map_)))

print(json.dumps({
    "issuer": ISSUER, "audience": AUDIENCE, "now": NOW, "message": MESSAGE.hex(), "jwks": JWKS,
    "client_keys": {"keys": [{"kty": "oct", "kid": "known", "k": b64(CLIENT_OCT)}]},
    "keys": {
        "okp": {"kty": "OKP", "crv": "Ed25519", "x": b64(OKP_KEY[-2])},
        "ec2": {"kty": "EC", "crv": "P-256", "x": b64(X), "y": b64(Y)},
        "oct": {"kty": "oct", "k": b64(CLIENT_OCT)},
        "known": {"kty": "oct", "k": b64(CLIENT_OCT)},
    },
    "cases": CASES, "refused": REFUSED,
}, indent=1))
