"""Which declared tool is meant, what its arguments are, and how a result is spoken."""
