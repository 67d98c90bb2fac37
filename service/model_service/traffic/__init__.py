"""Which version answers a request: the document that says so, how workers of a pod agree on it, and its sources."""
