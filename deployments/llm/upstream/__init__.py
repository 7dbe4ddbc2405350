"""Asking a server that speaks OpenAI's chat completions: what is sent, what comes back, and what may go wrong."""
