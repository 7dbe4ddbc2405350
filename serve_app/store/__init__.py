"""Conversations on disk, written behind the conversation and never in its way."""

from serve_app.store.config import StoreConfig
from serve_app.store.store import Store

__all__ = ["Store", "StoreConfig"]
