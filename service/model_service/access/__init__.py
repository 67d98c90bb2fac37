"""Who may touch the service: API keys, tokens and passwords, and what each of them may do. Off unless it is set up."""
