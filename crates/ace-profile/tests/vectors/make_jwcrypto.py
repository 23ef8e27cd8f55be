#!/usr/bin/env python3
"""Makes jwcrypto.json: encrypted tokens, good and bad, by another implementation than ours.

Needs the Python package jwcrypto (made with jwcrypto 1.6, cryptography 50).
Keys are made anew on each run, so each run gives another file; all of them are for tests only.

    python3 make_jwcrypto.py > jwcrypto.json
"""

import json

from jwcrypto import jwe, jwk, jws

ISSUER = "https://as.example"
OTHER = "https://other.example"
AUDIENCE = "broker.example"
# The time of validation, and a token's life around it.
NOW = 1_700_000_000

ENCRYPTIONS = ["A128GCM", "A256GCM", "A128CBC-HS256"]
SIGNING = jwk.JWK.generate(kty="OKP", crv="Ed25519", kid="as-1")
OTHERS = jwk.JWK.generate(kty="OKP", crv="Ed25519", kid="other-1")
EVERYTHING = jwe.default_allowed_algs + ["A128GCMKW", "PBES2-HS256+A128KW", "RSA1_5", "RSA-OAEP", "A192KW", "A192GCM",
                                         "A256CBC-HS512", "A192CBC-HS384"]


def shared(bits, kid):
    return jwk.JWK.generate(kty="oct", size=bits, kid=kid, use="enc")


SHARED = {
    ("dir", "A128GCM"): shared(128, "dir-16"),
    ("dir", "A256GCM"): shared(256, "dir-32"),
    ("dir", "A128CBC-HS256"): shared(256, "dir-cbc"),
}
WRAPPING = {"A128KW": shared(128, "kw-16"), "A256KW": shared(256, "kw-32")}
P256 = jwk.JWK.generate(kty="EC", crv="P-256", kid="p256", use="enc")
X25519 = jwk.JWK.generate(kty="OKP", crv="X25519", kid="x25519", use="enc")
RSA = {bits: jwk.JWK.generate(kty="RSA", size=bits, kid=f"rsa-{bits}", alg="RSA-OAEP-256") for bits in (2048, 4096)}
UNSUPPORTED = {
    "A128GCMKW": shared(128, "gcmkw"),
    "PBES2-HS256+A128KW": shared(256, "pbes2"),
    "A192KW": shared(192, "kw-24"),
}


def claims(**more):
    return {"iss": ISSUER, "sub": "device-7", "aud": AUDIENCE, "exp": NOW + 60,
            "cnf": {"jwk": {"kty": "oct", "k": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}},
            "scope": "W1sic2Vuc29ycy8jIixbInB1YiJdXV0", **more}


def signed(key=SIGNING, **more):
    token = jws.JWS(json.dumps(claims(**more)))
    token.add_signature(key, None, json.dumps({"alg": "EdDSA", "kid": key["kid"]}))
    return token.serialize(compact=True)


def encrypted(plaintext, key, management, encryption, cty="JWT", **more):
    header = {"alg": management, "enc": encryption, "kid": key["kid"], **more}
    if cty:
        header["cty"] = cty
    token = jwe.JWE(plaintext, json.dumps(header), algs=EVERYTHING)
    token.add_recipient(key)
    return token.serialize(compact=True)


def public(key):
    return jwk.JWK.from_json(key.export_public())


def good():
    for encryption in ENCRYPTIONS:
        yield f"dir {encryption}", encrypted(signed(), SHARED["dir", encryption], "dir", encryption)
        for management, key in WRAPPING.items():
            yield f"{management} {encryption}", encrypted(signed(), key, management, encryption)
        for management in ["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"]:
            for name, key in [("P-256", P256), ("X25519", X25519)]:
                yield (f"{management} {encryption} {name}",
                       encrypted(signed(), public(key), management, encryption))
        for bits, key in RSA.items():
            yield f"RSA-OAEP-256 {encryption} {bits}", encrypted(signed(), public(key), "RSA-OAEP-256", encryption)
    yield ("apu and apv", encrypted(signed(), public(P256), "ECDH-ES", "A256GCM", apu="QWxpY2U", apv="Qm9i"))
    yield ("media type", encrypted(signed(), public(X25519), "ECDH-ES", "A128GCM", cty="application/jwt"))
    yield ("issuer outside", encrypted(signed(), public(P256), "ECDH-ES", "A128GCM", iss=ISSUER))


def bad():
    key = public(P256)
    yield "no cty", "jwe-content-type", encrypted(signed(), key, "ECDH-ES", "A256GCM", cty=None)
    yield "another cty", "jwe-content-type", encrypted(signed(), key, "ECDH-ES", "A256GCM", cty="jwk+json")
    yield "not signed", "token-not-jwt", encrypted(json.dumps(claims()), key, "ECDH-ES", "A256GCM")
    yield "shared key, not signed", "token-not-jwt", encrypted(json.dumps(claims()), WRAPPING["A256KW"], "A256KW", "A256GCM")
    yield "encrypted twice", "jwe-nested", encrypted(
        encrypted(signed(), key, "ECDH-ES", "A256GCM"), key, "ECDH-ES", "A256GCM")
    yield "signed by another", "key-unknown", encrypted(signed(OTHERS), key, "ECDH-ES", "A256GCM")
    yield "another issuer", "jwe-issuer-foreign", encrypted(signed(OTHERS, iss=OTHER), key, "ECDH-ES", "A256GCM")
    yield "another issuer outside", "jwe-key-missing", encrypted(signed(), key, "ECDH-ES", "A256GCM", iss=OTHER)
    yield "compressed", "jwe-extension", encrypted(signed(), key, "ECDH-ES", "A256GCM", zip="DEF")
    yield "RSA-OAEP", "jwe-unsupported", encrypted(signed(), public(RSA[2048]), "RSA-OAEP", "A256GCM")
    yield "RSA1_5", "jwe-unsupported", encrypted(signed(), public(RSA[2048]), "RSA1_5", "A256GCM")
    for management, shared_key in UNSUPPORTED.items():
        yield management, "jwe-unsupported", encrypted(signed(), shared_key, management, "A256GCM")
    for encryption in ["A192GCM", "A192CBC-HS384", "A256CBC-HS512"]:
        yield encryption, "jwe-unsupported", encrypted(signed(), key, "ECDH-ES", encryption)
    p384 = jwk.JWK.generate(kty="EC", crv="P-384", kid="p256")
    yield "P-384", "jwe-malformed", encrypted(signed(), public(p384), "ECDH-ES", "A256GCM")
    stranger = jwk.JWK.generate(kty="EC", crv="P-256", kid="p256")
    yield "another key of that name", "jwe-undecryptable", encrypted(signed(), public(stranger), "ECDH-ES", "A256GCM")
    stranger = jwk.JWK.generate(kty="RSA", size=2048, kid="rsa-2048")
    yield "another RSA key of that name", "jwe-undecryptable", encrypted(
        signed(), public(stranger), "RSA-OAEP-256", "A256GCM")
    yield "another curve under that name", "jwe-key-missing", encrypted(
        signed(), jwk.JWK.generate(kty="OKP", crv="X25519", kid="p256"), "ECDH-ES", "A256GCM")
    yield "unknown name", "jwe-key-missing", encrypted(
        signed(), jwk.JWK.generate(kty="EC", crv="P-256", kid="nobody"), "ECDH-ES", "A256GCM")


def main():
    private = [*SHARED.values(), *WRAPPING.values(), P256, X25519, *RSA.values(), *UNSUPPORTED.values()]
    print(json.dumps({
        "issuer": ISSUER, "other": OTHER, "audience": AUDIENCE, "now": NOW,
        "jwks": {"keys": [SIGNING.export_public(as_dict=True)] + [key.export(as_dict=True) for key in private]},
        "other_jwks": {"keys": [OTHERS.export_public(as_dict=True)]},
        "good": [{"name": name, "token": token} for name, token in good()],
        "bad": [{"name": name, "code": code, "token": token} for name, code, token in bad()],
    }, indent=1))


if __name__ == "__main__":
    main()
