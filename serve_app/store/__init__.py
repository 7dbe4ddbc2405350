"""Conversations on disk, written behind the conversation and never in its way."""

from configs.store import StoreConfig
from serve_app.store.store import Store

__all__ = ["Store", "StoreConfig"]
