"""The service: verified bundles in, answers out, over HTTP."""
