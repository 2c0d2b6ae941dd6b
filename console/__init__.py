"""The operator's web page: its own process, a gRPC client like any other."""
