"""The request path: app, gateway, vLLM."""
