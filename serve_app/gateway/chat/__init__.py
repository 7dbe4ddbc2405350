"""`POST /v1/chat/completions`: the Llm deployment for clients that write."""
