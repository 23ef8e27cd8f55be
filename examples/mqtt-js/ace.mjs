// Tokens and proofs for an MQTT broker that asks for ACE access tokens, with nothing but Node's own modules.
//
// This is the file to copy. It gets a token from an authorization server (OAuth's client credentials grant) for a key that
// is made here and never leaves, and makes the Authentication Data that go into CONNECT and AUTH with the method "ace".

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { request } from 'node:https';

// What the proof of a TLS connection is over, and how many bytes a nonce has.
const EXPORTER_LABEL = 'EXPORTER-ACE-MQTT-Sign-Challenge';
const EXPORTER_BYTES = 32;
const NONCE_BYTES = 8;

/** A key, and the token that is bound to it. */
export class Credentials {
  #key = generateKeyPairSync('ed25519');
  #source;

  /** From this authorization server: `{ url, ca, clientId, clientSecret, audience }`. The audience is the broker's name in the token. */
  constructor(source) {
    this.#source = source;
  }

  /** Fetches a token. Gives the milliseconds for which it should be used: four fifths of its life, so that it never ends first. */
  async refresh() {
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      audience: this.#source.audience,
      req_cnf: JSON.stringify({ jwk: this.#key.publicKey.export({ format: 'jwk' }) }),
    });
    const answer = await post(this.#source, form);
    this.token = Buffer.from(answer.access_token);
    return answer.expires_in * 800;
  }

  /** Authentication Data with the token alone: of CONNECT, where the broker is to ask for a proof, and of a re-authentication. */
  tokenAlone() {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(this.token.length);
    return Buffer.concat([length, this.token]);
  }

  /** Authentication Data of the AUTH that answers the broker's challenge. */
  answerTo(challenge) {
    const nonce = randomBytes(NONCE_BYTES);
    return Buffer.concat([nonce, this.#proof(Buffer.concat([challenge, nonce]))]);
  }

  /** Authentication Data of CONNECT with a proof for this TLS connection, after its handshake: the broker need not ask. */
  provedOn(tlsSocket) {
    const exported = tlsSocket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0));
    return Buffer.concat([this.tokenAlone(), this.#proof(exported)]);
  }

  #proof(message) {
    return sign(null, message, this.#key.privateKey);
  }
}

/** A token request; gives the answer's JSON. */
function post({ url, ca, clientId, clientSecret }, form) {
  const who = [clientId, clientSecret].map(encodeURIComponent).join(':');
  const headers = {
    authorization: `Basic ${Buffer.from(who).toString('base64')}`,
    'content-type': 'application/x-www-form-urlencoded',
  };
  return new Promise((resolve, reject) => {
    const asked = request(url, { method: 'POST', ca, headers, timeout: 10_000 }, async (response) => {
      try {
        const chunks = await response.toArray();
        const answer = JSON.parse(Buffer.concat(chunks));
        if (response.statusCode !== 200) throw new Error(`no token: ${answer.error} (HTTP ${response.statusCode})`);
        resolve(answer);
      } catch (error) {
        reject(error);
      }
    });
    asked.on('timeout', () => asked.destroy(new Error('no token: the authorization server does not answer')));
    asked.on('error', reject);
    asked.end(form.toString());
  });
}
