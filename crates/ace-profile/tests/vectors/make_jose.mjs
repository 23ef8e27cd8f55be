// Tokens and proofs made by npm's `jose`, for other_implementations.rs.
//
//   npm install jose && node make_jose.mjs > jose.json
//
// Signed tokens by each algorithm, and the same inside each form of encryption that both sides have.

import { webcrypto } from "node:crypto";
import * as jose from "jose";

const now = 1700000000;
const issuer = "https://as.example";
const audience = "broker.example";
const message = webcrypto.getRandomValues(new Uint8Array(32));
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const text = (value) => new TextEncoder().encode(value);
const random = (bytes) => jose.base64url.encode(webcrypto.getRandomValues(new Uint8Array(bytes)));

const keys = [];

async function pair(algorithm, kid, options = {}) {
  const made = await jose.generateKeyPair(algorithm, { extractable: true, ...options });
  const [publicJwk, privateJwk] = [await jose.exportJWK(made.publicKey), await jose.exportJWK(made.privateKey)];
  return { ...made, publicJwk: { ...publicJwk, kid }, privateJwk: { ...privateJwk, kid } };
}

const signers = [];
for (const algorithm of ["EdDSA", "ES256", "RS256", "PS256"]) {
  const made = await pair(algorithm, `as-${algorithm}`);
  keys.push({ ...made.publicJwk, alg: algorithm });
  signers.push({ algorithm, kid: `as-${algorithm}`, key: made.privateKey });
}
const shared = { kty: "oct", kid: "as-HS256", k: random(32), alg: "HS256" };
keys.push(shared);
signers.push({ algorithm: "HS256", kid: shared.kid, key: jose.base64url.decode(shared.k) });

// A proof is over the message itself, not over a JWS's signing input: made with the platform's own signer.
async function prove(client) {
  const algorithm = client.algorithm === "EdDSA" ? "Ed25519" : { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  return webcrypto.subtle.sign(algorithm, client.key, message);
}

const holders = [];
for (const algorithm of ["EdDSA", "ES256"]) {
  const made = await pair(algorithm, `client-${algorithm}`);
  holders.push({
    name: algorithm,
    algorithm,
    key: made.privateKey,
    jwk: made.publicJwk,
    thumbprint: await jose.calculateJwkThumbprint(made.publicJwk),
  });
}

function claims(holder) {
  return {
    iss: issuer,
    sub: "device-7",
    aud: audience,
    iat: now - 10,
    exp: now + 600,
    cnf: { jwk: holder.jwk },
    scope: jose.base64url.encode(text(JSON.stringify([["sensors/#", ["pub"]]]))),
  };
}

async function sign(signer, holder) {
  return new jose.SignJWT(claims(holder))
    .setProtectedHeader({ alg: signer.algorithm, kid: signer.kid, typ: "JWT" })
    .sign(signer.key);
}

const contents = ["A128GCM", "A256GCM", "A128CBC-HS256"];
const contentBytes = { A128GCM: 16, A256GCM: 32, "A128CBC-HS256": 32 };
const recipients = [];
for (const encryption of contents) {
  const jwk = { kty: "oct", use: "enc", kid: `dir-${encryption}`, k: random(contentBytes[encryption]) };
  keys.push(jwk);
  recipients.push({ management: "dir", encryptions: [encryption], kid: jwk.kid, key: jose.base64url.decode(jwk.k) });
}
for (const [management, bytes] of [["A128KW", 16], ["A256KW", 32]]) {
  const jwk = { kty: "oct", use: "enc", kid: management, k: random(bytes), alg: management };
  keys.push(jwk);
  recipients.push({ management, encryptions: contents, kid: jwk.kid, key: jose.base64url.decode(jwk.k) });
}
for (const curve of ["P-256", "X25519"]) {
  for (const management of ["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"]) {
    const made = await pair(management, `${management} ${curve}`, { crv: curve });
    keys.push({ ...made.privateJwk, use: "enc", alg: management });
    recipients.push({ management, encryptions: contents, kid: made.publicJwk.kid, key: made.publicKey });
  }
}
const rsa = await pair("RSA-OAEP-256", "rsa");
keys.push({ ...rsa.privateJwk, use: "enc", alg: "RSA-OAEP-256" });
recipients.push({ management: "RSA-OAEP-256", encryptions: contents, kid: "rsa", key: rsa.publicKey });

const cases = [];
async function add(name, holder, token) {
  cases.push({ name, token, thumbprint: holder.thumbprint, proof: hex(await prove(holder)) });
}
for (const signer of signers) {
  for (const holder of holders) {
    await add(`${signer.algorithm} for ${holder.name}`, holder, await sign(signer, holder));
  }
}
for (const { management, encryptions, kid, key } of recipients) {
  for (const encryption of encryptions) {
    const signed = await sign(signers[1], holders[0]);
    const token = await new jose.CompactEncrypt(text(signed))
      .setProtectedHeader({ alg: management, enc: encryption, cty: "JWT", kid })
      .encrypt(key);
    await add(`${management} with ${encryption}, ${kid}`, holders[0], token);
  }
}

process.stdout.write(`${JSON.stringify({ issuer, audience, now, message: hex(message), jwks: { keys }, cases }, null, 1)}\n`);
