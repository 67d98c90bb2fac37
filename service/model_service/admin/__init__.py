"""The admin API: commands to a running server, on a port of its own."""
