"""A program that calls an API for itself: it gets a token, and a new one before that expires."""

import os

import httpx2

from watchword.client import ClientCredentials

# What `watchword client add nightly --access https://orders.example=orders:read` showed.
credentials = ClientCredentials(
    issuer=os.environ["ISSUER"],
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    scope=("orders:read",),
)

with httpx2.Client(base_url=os.environ["API"], auth=credentials) as api:
    print(api.get("/orders").raise_for_status().text)
