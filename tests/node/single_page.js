// A single-page app on oidc-client-ts, from its browser bundle (the global `oidc`). /settings.json says who it is.
const { issuer, client_id, url, overrides } = await (await fetch('/settings.json')).json()
const users = new oidc.UserManager({ authority: issuer, client_id, redirect_uri: `${url}/callback`, ...overrides })
const output = document.querySelector('output')
let last

const acts = {
  'sign-in': () => users.signinRedirect(),

  // The library asks for no userinfo unless `loadUserInfo` is set: the page asks, at the endpoint that the library found.
  userinfo: async () => {
    const { access_token } = await users.getUser()
    const headers = { authorization: `Bearer ${access_token}` }
    return (await fetch(await users.metadataService.getUserInfoEndpoint(), { headers })).json()
  },

  refresh: async () => {
    last = (await users.getUser()).refresh_token
    return told(await users.signinSilent())
  },

  again: async () => {
    const user = await users.getUser()
    await users.storeUser(new oidc.User({ ...user, refresh_token: last }))
    try {
      return told(await users.signinSilent())
    } finally {
      await users.storeUser(user)
    }
  },

  'sign-out': () => users.signoutRedirect(),
}

function told({ access_token, refresh_token, id_token, profile }) {
  return { access_token, refresh_token, id_token, claims: profile }
}

async function perform(name, act) {
  output.dataset.after = ''
  let said
  try {
    said = await act()
  } catch (error) {
    said = { error: error.error ?? error.message }
  }
  if (said === undefined) return // the page is on its way elsewhere
  output.textContent = JSON.stringify(said)
  output.dataset.after = name
}

for (const [name, act] of Object.entries(acts)) {
  document.getElementById(name).addEventListener('click', (event) => {
    event.preventDefault()
    perform(name, act)
  })
}
if (location.pathname === '/callback') await perform('sign-in', async () => told(await users.signinCallback()))
if (location.pathname === '/signed-out') {
  await perform('sign-out', async () => {
    await users.signoutCallback()
    return {}
  })
}
