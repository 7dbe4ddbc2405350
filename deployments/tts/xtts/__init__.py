"""What the engine `xtts` is made of."""
