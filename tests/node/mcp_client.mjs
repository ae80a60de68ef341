// An MCP client on the official SDK: it takes orders on standard input, one JSON object a line, and says what came of each.
// PARTY in the environment is the server's URL, where people return to, and its metadata document, if it has one.
import { createInterface } from 'node:readline'
import { randomUUID } from 'node:crypto'
import { auth, UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

const { url, callback, document } = JSON.parse(process.env.PARTY)
const known = {}

const authProvider = {
  redirectUrl: callback,
  clientMetadataUrl: document ?? undefined,
  clientMetadata: {
    client_name: 'An agent in JavaScript',
    redirect_uris: [callback],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    application_type: 'native',
  },
  state: () => (known.state = randomUUID()),
  clientInformation: () => known.client,
  saveClientInformation: (client) => void (known.client = client),
  // With a refresh token at hand the SDK answers a challenge for more scopes by refreshing, which brings no more.
  tokens: () => (known.refreshing || !known.tokens ? known.tokens : { ...known.tokens, refresh_token: undefined }),
  saveTokens: (tokens) => void (known.tokens = { ...known.tokens, ...tokens }),
  redirectToAuthorization: (to) => void (known.to = String(to)),
  saveCodeVerifier: (verifier) => void (known.verifier = verifier),
  codeVerifier: () => known.verifier,
}

const connected = async () => {
  known.transport = new StreamableHTTPClientTransport(new URL(url), { authProvider })
  known.mcp = new Client({ name: 'interop', version: '1' })
  await known.mcp.connect(known.transport)
}

const acts = {
  connect: async () => {
    await connected()
    return { revision: known.transport.protocolVersion, client_id: known.client.client_id }
  },
  // The person is back: `transport` is the one that was refused, so it knows which scopes were asked for.
  finish: async ({ code, state }) => {
    if (state !== known.state) throw new Error('state differs')
    await known.transport.finishAuth(code)
    return {}
  },
  call: async ({ tool, given }) => ({ result: (await known.mcp.callTool({ name: tool, arguments: given ?? {} })).structuredContent }),
  refresh: async () => {
    known.refreshing = true
    const before = known.tokens
    const outcome = await auth(authProvider, { serverUrl: url }).finally(() => (known.refreshing = false))
    return { outcome, rotated: known.tokens.refresh_token !== before.refresh_token, new: known.tokens.access_token !== before.access_token }
  },
  tokens: async () => known.tokens,
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line)
  let said
  try {
    said = await acts[order.do](order)
  } catch (error) {
    said = error instanceof UnauthorizedError ? { to: known.to } : { error: String(error) }
  }
  console.log(JSON.stringify(said))
}
process.exit(0)
