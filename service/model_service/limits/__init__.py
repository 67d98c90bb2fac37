"""Rate limits: how often a key, a subject, an address or a model may be asked, in one pod or in all of them."""
