// The peer of the codes benchmark: oidc-provider with authorization codes to be redeemed, as people's sign-ins would leave
// them. Each redemption does what ours does: authenticate one client by client_secret_basic, check code, session, grant,
// account and S256 verifier, spend the code, keep a refresh token, sign an access token for the API and an RS256 ID token.
// Reads its settings as JSON from PEER_SETTINGS, listens on a free loopback port, prints one JSON line when ready.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Session } from 'node:inspector/promises';
import process from 'node:process';

import Provider from 'oidc-provider';

import * as stores from './stores.js';

const settings = JSON.parse(process.env.PEER_SETTINGS);
const { client_id, client_secret, audience, scope, lifetime, format, redirect_uri, challenge, people } = settings;
const DAY = 86_400;
const AT_ONCE = 64;

const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });

async function store() {
  if (settings.sqlite) return stores.sqlite(settings.sqlite);
  return settings.postgres ? stores.postgres(settings.postgres) : stores.memory();
}

const adapter = await store();

const configuration = {
  adapter,
  clients: [{
    client_id,
    client_secret,
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: [redirect_uri],
    scope: `openid ${scope}`,
  }],
  clientDefaults: { id_token_signed_response_alg: 'RS256' },
  cookies: { keys: ['never used by this grant'] },
  features: {
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      // Without this, a code of OpenID Connect brings an access token for userinfo only.
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope,
        audience,
        accessTokenTTL: lifetime,
        accessTokenFormat: format,
        ...(format === 'jwt' ? { jwt: { sign: { alg: 'ES256' } } } : {}),
      }),
    },
  },
  jwks: { keys: [{ ...rsa, alg: 'RS256', use: 'sig', kid: 'rsa' }, { ...elliptic, alg: 'ES256', use: 'sig', kid: 'elliptic' }] },
  scopes: ['openid', ...scope.split(' ')],
  findAccount: async (ctx, accountId) => {
    const person = await adapter('Account').find(accountId);
    return person && { accountId, claims: () => ({ sub: accountId }) };
  },
  // As ours: a client that may refresh gets a refresh token.
  issueRefreshToken: () => true,
  ttl: { AuthorizationCode: DAY, Grant: DAY, IdToken: 600, RefreshToken: DAY, Session: DAY },
};

// What a person's sign-in would leave in the store.
async function signIn(provider, client, number) {
  const accountId = `person-${number}`;
  await adapter('Account').upsert(accountId, { email: `${accountId}@example.com`, roles: ['buyer'] }, DAY);
  const grant = new provider.Grant({ accountId, clientId: client_id });
  grant.addOIDCScope('openid');
  grant.addResourceScope(audience, scope);
  const grantId = await grant.save();
  const authTime = Math.floor(Date.now() / 1000);
  const sid = randomBytes(16).toString('base64url');
  const session = new provider.Session({ accountId, loginTs: authTime, amr: ['pwd'], authorizations: { [client_id]: { sid, grantId } } });
  await session.save(DAY);
  return new provider.AuthorizationCode({
    accountId, amr: ['pwd'], authTime, client, codeChallenge: challenge, codeChallengeMethod: 'S256', expiresWithSession: true, grantId,
    gty: 'authorization_code', nonce: 'bench', redirectUri: redirect_uri, resource: audience, scope: `openid ${scope}`, sessionUid: session.uid, sid,
  }).save();
}

async function signAllIn(provider) {
  const client = await provider.Client.find(client_id);
  const codes = [];
  for (let number = 0; number < people; number += AT_ONCE) {
    const these = Array.from({ length: Math.min(AT_ONCE, people - number) }, (_, one) => signIn(provider, client, number + one));
    codes.push(...await Promise.all(these));
  }
  return codes;
}

const server = createServer();
server.listen(0, '127.0.0.1', async () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  server.on('request', provider.callback());
  const codes = await signAllIn(provider);
  process.stdout.write(`${JSON.stringify({ issuer, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks`, node: process.version, codes })}\n`);
});

// From SIGUSR2 to the end, where the profile is written to the file that was asked for.
const profiler = new Session();
process.on('SIGUSR2', async () => {
  profiler.connect();
  await profiler.post('Profiler.enable');
  await profiler.post('Profiler.start');
});

let ending = false;
async function end() {
  if (ending) return;
  ending = true;
  if (settings.profile) writeFileSync(settings.profile, JSON.stringify((await profiler.post('Profiler.stop')).profile));
  process.exit(0);
}

// Its starter closes standard input, so the peer can never outlive the benchmark.
process.stdin.resume();
process.stdin.on('end', end);
process.on('SIGTERM', end);
