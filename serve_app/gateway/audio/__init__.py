"""Sound over plain HTTP, as OpenAI's clients ask for it."""
