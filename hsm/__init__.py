"""The signing device: keys that never leave it, and lanes that keep it off the event loop."""
