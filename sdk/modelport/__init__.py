"""What a data scientist imports: `pack` and `Client`."""
