"""One trace from the call to its upload. Without ``[tracing]`` in the configuration nothing here is paid for."""
