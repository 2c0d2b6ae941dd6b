"""The tax authority: the port to it, its gRPC client, and a strict simulator of it."""
