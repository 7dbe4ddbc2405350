"""Identifiers, in OpenAI's style: a kind and 128 random bits."""

import secrets


def new_id(kind: str) -> str:
    """`kind` is `sess`, `conv`, `item`, `resp`, `call` or `event`; the result is, say, `item_3f…`."""
    return f"{kind}_{secrets.token_hex(16)}"
