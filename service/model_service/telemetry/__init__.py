"""What the service tells about itself: logs, metrics, traces. Each is set up once and known by name elsewhere."""
