"""The schema as numbered steps. A file, once released, never changes: its checksum is remembered."""
