"""One file an engine: its `Config` and its `Engine`, loaded by name."""
