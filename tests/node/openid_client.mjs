// A web app on openid-client, as its documentation shows. PARTY in the environment says who it is; it ends with its parent.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { randomUUID } from 'node:crypto'
import * as client from 'openid-client'

const { issuer, client_id, client_secret, url, scope, page, api, dpop, overrides } = JSON.parse(process.env.PARTY)
const template = readFileSync(page, 'utf8')
const options = { execute: overrides.execute.map((name) => client[name]) }
const config = await client.discovery(new URL(issuer), client_id, client_secret, undefined, options)
const visitors = new Map()

// With DPoP every visitor has a key, and requests are pushed; without, `options` is undefined and all is as ever.
const keyed = async () => ({ DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair()) })
const authorizationUrl = (parameters, options) =>
  options ? client.buildAuthorizationUrlWithPAR(config, parameters, options) : client.buildAuthorizationUrl(config, parameters)

const acts = {
  'GET /': async () => ({ after: 'nothing', said: {} }),

  'GET /sign-in': async (visitor) => {
    visitor.options = dpop ? await keyed() : undefined
    visitor.pkceCodeVerifier = client.randomPKCECodeVerifier()
    const parameters = {
      redirect_uri: `${url}/callback`,
      scope,
      code_challenge: await client.calculatePKCECodeChallenge(visitor.pkceCodeVerifier),
      code_challenge_method: 'S256',
    }
    if (!config.serverMetadata().supportsPKCE()) visitor.expectedState = parameters.state = client.randomState()
    return { to: await authorizationUrl(parameters, visitor.options) }
  },

  'GET /callback': async (visitor, here) => {
    const { pkceCodeVerifier, expectedState, options } = visitor
    visitor.tokens = await client.authorizationCodeGrant(config, here, { pkceCodeVerifier, expectedState }, undefined, options)
    visitor.sub = visitor.tokens.claims().sub
    visitor.id_token = visitor.tokens.id_token
    return { after: 'sign-in', said: { ...visitor.tokens, claims: visitor.tokens.claims() } }
  },

  'GET /userinfo': async ({ tokens, sub, options }) => ({
    after: 'userinfo',
    said: await client.fetchUserInfo(config, tokens.access_token, sub, options),
  }),

  'GET /orders': async ({ tokens, options }) => {
    const place = new URL(`${api}/orders`)
    const answer = await client.fetchProtectedResource(config, tokens.access_token, place, 'GET', undefined, undefined, options)
    return { after: 'orders', said: { status: answer.status } }
  },

  'GET /refresh': async (visitor) => {
    visitor.last = visitor.tokens.refresh_token
    visitor.tokens = await client.refreshTokenGrant(config, visitor.last, undefined, visitor.options)
    return { after: 'refresh', said: visitor.tokens }
  },

  'GET /again': async ({ last, options }) => ({
    after: 'again',
    said: await client.refreshTokenGrant(config, last, undefined, options),
  }),

  'GET /stolen': async ({ tokens }) => ({
    after: 'stolen',
    said: await client.refreshTokenGrant(config, tokens.refresh_token, undefined, await keyed()),
  }),

  'POST /sign-out': async ({ id_token }) => ({
    to: client.buildEndSessionUrl(config, { post_logout_redirect_uri: `${url}/signed-out`, id_token_hint: id_token }),
  }),

  'GET /signed-out': async (visitor) => {
    delete visitor.tokens
    return { after: 'sign-out', said: {} }
  },
}

function visitorOf(request, response) {
  const id = /(?:^|; )visitor=([^;]+)/.exec(request.headers.cookie ?? '')?.[1] ?? randomUUID()
  if (!visitors.has(id)) visitors.set(id, {})
  response.setHeader('set-cookie', `visitor=${id}; Path=/; HttpOnly; SameSite=Lax`)
  return visitors.get(id)
}

function show(response, { after, said }) {
  const text = JSON.stringify(said).replaceAll('&', '\\u0026').replaceAll('<', '\\u003c')
  const values = { after, said: text, hidden: '', script: '' }
  response.setHeader('content-type', 'text/html; charset=utf-8')
  response.end(template.replace(/{{(\w+)}}/g, (_, name) => values[name]))
}

const server = createServer(async (request, response) => {
  const here = new URL(request.url, url)
  const act = acts[`${request.method} ${here.pathname}`]
  if (!act) return response.writeHead(404).end()
  try {
    const { to, ...shown } = await act(visitorOf(request, response), here)
    if (to) return response.writeHead(303, { location: to.href }).end()
    show(response, shown)
  } catch (error) {
    show(response, { after: here.pathname.slice(1), said: { error: error.error ?? `${error.message}: ${error.cause}` } })
  }
})
server.listen(new URL(url).port, '127.0.0.1')
process.stdin.resume().on('end', () => process.exit(0))
