#!/usr/bin/env python3
"""Makes joserfc.json: tokens, encrypted keys and proofs by another implementation than ours.

Needs the Python packages joserfc and cryptography (made with joserfc 1.6, cryptography 48).
Keys are made anew on each run, so each run gives another file; all of them are for tests only.

    python3 make_joserfc.py > joserfc.json
"""

import json
import secrets

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, utils
from joserfc import jwe, jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

ISSUER = "https://as.example"
AUDIENCE = "broker.example"
# The time of validation, and a token's life around it.
NOW = 1_700_000_000
MESSAGE = bytes(range(32))

SIGNING = {
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "eddsa"}, auto_kid=False),
    "ES256": ECKey.generate_key("P-256", {"kid": "es256"}, auto_kid=False),
    "RS256": RSAKey.generate_key(2048, {"kid": "rs256", "alg": "RS256"}, auto_kid=False),
    "PS256": RSAKey.generate_key(2048, {"kid": "ps256", "alg": "PS256"}, auto_kid=False),
    "HS256": OctKey.generate_key(256, {"kid": "hs256", "use": "sig"}, auto_kid=False),
}
SHARED = {
    ("dir", "A128GCM"): OctKey.generate_key(128, {"kid": "dir-128", "use": "enc"}, auto_kid=False),
    ("dir", "A256GCM"): OctKey.generate_key(256, {"kid": "dir-256", "use": "enc"}, auto_kid=False),
    ("A256KW", "A128GCM"): OctKey.generate_key(256, {"kid": "kw-128", "use": "enc"}, auto_kid=False),
    ("A256KW", "A256GCM"): OctKey.generate_key(256, {"kid": "kw-256", "use": "enc"}, auto_kid=False),
}


def claims(cnf, **more):
    return {
        "iss": ISSUER, "sub": "device-7", "aud": [AUDIENCE], "iat": NOW - 5, "exp": NOW + 60,
        "cnf": cnf, "scope": "W1sic2Vuc29ycy8jIixbInB1YiJdXV0", **more,
    }


def token(algorithm, cnf):
    key = SIGNING[algorithm]
    return jwt.encode({"alg": algorithm, "kid": key.kid}, claims(cnf), key, algorithms=[algorithm])


def ed25519_proof(key):
    return key.private_key.sign(MESSAGE)


def es256_proof(key):
    r, s = utils.decode_dss_signature(key.private_key.sign(MESSAGE, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def hmac_proof(secret):
    mac = hmac.HMAC(secret, hashes.SHA256())
    mac.update(MESSAGE)
    return mac.finalize()


def main():
    cases = []
    for algorithm in SIGNING:
        device = OKPKey.generate_key("Ed25519", auto_kid=False)
        cnf = {"jwk": device.as_dict(private=False)}
        cases.append({"name": f"{algorithm}, Ed25519 client", "token": token(algorithm, cnf),
                      "thumbprint": device.thumbprint(), "proof": ed25519_proof(device).hex()})
    device = ECKey.generate_key("P-256", auto_kid=False)
    cases.append({"name": "EdDSA, P-256 client", "token": token("EdDSA", {"jwk": device.as_dict(private=False)}),
                  "thumbprint": device.thumbprint(), "proof": es256_proof(device).hex()})
    for (management, encryption), shared in SHARED.items():
        secret = secrets.token_bytes(32)
        pop = OctKey.import_key(secret)
        plaintext = json.dumps({"kty": "oct", "k": pop.as_dict()["k"]})
        header = {"alg": management, "enc": encryption, "kid": shared.kid}
        encrypted = jwe.encrypt_compact(header, plaintext, shared, algorithms=[management, encryption])
        cases.append({"name": f"ES256, symmetric client by {management} and {encryption}",
                      "token": token("ES256", {"jwe": encrypted}),
                      "thumbprint": pop.thumbprint(), "proof": hmac_proof(secret).hex()})
    public = [key.as_dict(private=(algorithm == "HS256")) for algorithm, key in SIGNING.items()]
    print(json.dumps({
        "issuer": ISSUER, "audience": AUDIENCE, "now": NOW, "message": MESSAGE.hex(),
        "jwks": {"keys": public + [key.as_dict(private=True) for key in SHARED.values()]},
        "cases": cases,
    }, indent=1))


if __name__ == "__main__":
    main()
