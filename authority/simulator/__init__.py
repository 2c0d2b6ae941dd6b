"""A strict stand-in for the tax authority, in its own process with its own durable store.

It is the independent other side: it shares no code with the gateway but the generated messages.
For development and tests only; it listens on loopback unless told otherwise.

Pure parts: ``policy``, ``departments``, ``windows``, ``allocation``, ``identifiers``, ``content``,
``signatures``, ``claims``, ``verdicts``, ``faults``. The only SQL is in ``schema`` and the
``…_table`` files; the only gRPC in ``desk``, ``servicer`` and ``control``.
"""
