"""The service: configuration, wiring, server, issuing, upload, recovery."""
