"""The command line of operators and developers: a gRPC client like any other."""
