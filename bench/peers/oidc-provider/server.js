// The peer of the token endpoint benchmark: oidc-provider with its own in-memory adapter, set up to do the same work
// as ours: authenticate one client by client_secret_basic, sign one ES256 JWT access token, answer.
// Reads its settings as JSON from PEER_SETTINGS, listens on a free loopback port, prints one JSON line when ready.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import process from 'node:process';

import Provider from 'oidc-provider';

const { client_id, client_secret, audience, scope, lifetime } = JSON.parse(process.env.PEER_SETTINGS);

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });

const configuration = {
  clients: [{
    client_id,
    client_secret,
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    scope,
  }],
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  cookies: { keys: ['never used by this grant'] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      getResourceServerInfo: () => ({
        scope,
        audience,
        accessTokenTTL: lifetime,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  jwks: { keys: [{ ...key, alg: 'ES256', use: 'sig', kid: 'bench' }] },
  scopes: scope.split(' '),
};

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  server.on('request', provider.callback());
  process.stdout.write(`${JSON.stringify({ issuer, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks`, node: process.version })}\n`);
});
// Its starter closes standard input, so the peer can never outlive the benchmark.
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
