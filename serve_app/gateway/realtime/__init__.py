"""OpenAI's Realtime protocol on a WebSocket: messages to commands, events to messages."""
