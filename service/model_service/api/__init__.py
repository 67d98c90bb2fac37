"""Thin transports: HTTP in, one call, HTTP out."""
