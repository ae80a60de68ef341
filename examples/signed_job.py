"""A program that signs its own tokens, and calls an API with no trip to the issuer."""

import os
from pathlib import Path

import httpx2

from watchword.client import SelfSigned, signing_key

# `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out job.pem` made the key. Its public half, that is
# `{"keys": [key.public_jwk()]}`, went to the issuer: `watchword client add job --jwks job.json --signs-tokens ...`.
key = signing_key(Path(os.environ["KEY_FILE"]).read_bytes(), "ES256")
own = SelfSigned(client_id=os.environ["CLIENT_ID"], key=key, audience=os.environ["AUDIENCE"], scope=("orders:read",))

with httpx2.Client(base_url=os.environ["API"], auth=own) as api:
    print(api.get("/orders").raise_for_status().text)
