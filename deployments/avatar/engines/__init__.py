"""One module an engine, loaded by name."""
