"""What the `ditto` engine is made of. Nothing here needs torch before the engine starts."""
