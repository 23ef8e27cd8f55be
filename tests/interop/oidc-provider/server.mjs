// An authorization server for the tests: oidc-provider as it is published, set up as an operator would.
//
//   node server.mjs CONFIG.json
//
// CONFIG.json has: port, certificate and key (PEM files), jwks (private signing keys), clients (client metadata), scopes (what
// tokens may grant), lifetime (of tokens, in seconds). A line "listening" on standard output says that it is ready; it ends when
// its standard input does.

import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

// What oidc-provider takes for granted, and the Node.js 18 of Debian 12 lacks.
URL.parse ??= (url, base) => (URL.canParse(url, base) ? new URL(url, base) : null);
globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;

const { Provider } = await import('oidc-provider');

const config = JSON.parse(readFileSync(process.argv[2], 'utf8'));

// A resource has to be an absolute URI: here, mqtts://AUDIENCE/signed for a JWT, mqtts://AUDIENCE/opaque for an opaque token.
const formats = { '/signed': 'jwt', '/opaque': 'opaque' };

// The key that a client has registered, which its tokens are bound to unless DPoP binds them to another.
const registeredKey = (client) => client?.jwks?.keys?.[0];

const provider = new Provider(`https://localhost:${config.port}`, {
  jwks: config.jwks,
  clients: config.clients,
  scopes: [],
  clientDefaults: { id_token_signed_response_alg: config.jwks.keys[0].alg },
  enabledJWA: {
    idTokenSigningAlgValues: ['EdDSA', 'ES256', 'RS256', 'PS256'],
    dPoPSigningAlgValues: ['EdDSA', 'ES256'],
  },
  ttl: { ClientCredentials: config.lifetime },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (ctx, client) => client.clientId === 'broker' },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => ({
        audience: new URL(resource).host,
        scope: config.scopes.join(' '),
        accessTokenFormat: formats[new URL(resource).pathname],
        jwt: { sign: { alg: config.jwks.keys[0].alg } },
      }),
    },
  },
  extraTokenClaims(ctx, token) {
    const jwk = registeredKey(token.client);
    return jwk && !token.jkt ? { cnf: { jwk } } : undefined;
  },
});

// Its introspection leaves out a `cnf` that comes neither from DPoP nor from mutual TLS: an operator puts it in.
provider.use(async (ctx, next) => {
  await next();
  const cnf = ctx.oidc?.entities.ClientCredentials?.extra?.cnf;
  if (ctx.oidc?.route === 'introspection' && ctx.body?.active && cnf) ctx.body.cnf = cnf;
});

provider.on('server_error', (ctx, error) => console.error(error));

const tls = { cert: readFileSync(config.certificate), key: readFileSync(config.key) };
createServer(tls, provider.callback()).listen(config.port, '127.0.0.1', () => console.log('listening'));
process.stdin.on('end', () => process.exit(0)).resume();
