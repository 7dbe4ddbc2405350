"""Language model: messages in, clauses and tool calls out."""
