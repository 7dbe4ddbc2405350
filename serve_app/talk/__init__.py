"""A terminal client: `python -m serve_app.talk`. Talks to any server of OpenAI's Realtime protocol."""
