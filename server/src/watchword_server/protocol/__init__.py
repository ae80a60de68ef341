"""OAuth 2.1 and OpenID Connect as rules: values in, values out. Pure."""
