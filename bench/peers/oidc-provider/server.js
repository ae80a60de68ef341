// The peer of the token endpoint benchmark: oidc-provider with its own in-memory adapter, set up to do the same work
// as ours: authenticate one client by client_secret_basic, sign one ES256 JWT access token, answer.
// Reads its settings as JSON from PEER_SETTINGS, listens on a free loopback port, prints one JSON line when ready.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import process from 'node:process';

import Provider from 'oidc-provider';

const { client_id, client_secret, audience, scope, lifetime, people } = JSON.parse(process.env.PEER_SETTINGS);

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });

const configuration = {
  clients: [{
    client_id,
    client_secret,
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['client_credentials', 'authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: ['https://never.example.com/'],
    scope: `${scope} offline_access`,
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
  scopes: [...scope.split(' '), 'offline_access'],
  findAccount: (ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  // As ours: every refresh gives a new refresh token.
  rotateRefreshToken: true,
  ttl: { Grant: 86_400, RefreshToken: 86_400 },
};

// What a person's sign-in would leave in the store.
async function signIn(provider, accountId) {
  const client = await provider.Client.find(client_id);
  const grant = new provider.Grant({ accountId, clientId: client_id });
  grant.addOIDCScope('offline_access');
  grant.addResourceScope(audience, scope);
  const grantId = await grant.save();
  const token = new provider.RefreshToken({
    accountId, client, grantId, gty: 'authorization_code', scope: `${scope} offline_access`, resource: audience, expiresWithSession: false,
  });
  return token.save();
}

const server = createServer();
server.listen(0, '127.0.0.1', async () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  server.on('request', provider.callback());
  const refresh_tokens = [];
  for (let number = 0; number < people; number += 1) refresh_tokens.push(await signIn(provider, `person-${number}`));
  process.stdout.write(`${JSON.stringify({ issuer, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks`, node: process.version, refresh_tokens })}\n`);
});
// Its starter closes standard input, so the peer can never outlive the benchmark.
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
