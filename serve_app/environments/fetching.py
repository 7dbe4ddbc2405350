"""Fetch one engine's models, in its environment: `python -m serve_app.environments.fetching STAGE`.

The choice of engine comes as JSON on the standard input.
"""

import asyncio
import socket
import sys
import urllib.error
from collections.abc import Callable, Iterator
from typing import Final

from configs.schema import EngineChoice
from deployments.runtime.clock import now_s
from deployments.runtime.engines import ModelDownload, engine_config, engine_module, extra_of, missing_package
from deployments.runtime.errors import ConfigError

_EVERY_S: Final = 2.0
"""Between two lines about one thing that is fetched."""
_NETWORK_ERRORS: Final = (ConnectionError, TimeoutError, socket.gaierror, urllib.error.URLError)
_NETWORK_PACKAGES: Final = frozenset({"aiohttp", "httpcore", "httpx", "requests", "urllib3"})


class ProgressLines:
    """A `Progress` that tells of each thing now and then, and when it is whole."""

    def __init__(self, say: Callable[[str], None], now: Callable[[], float] = now_s) -> None:
        self._say = say
        self._now = now
        self._told_s: dict[str, float] = {}

    def __call__(self, name: str, done_bytes: int, total_bytes: int | None) -> None:
        """So many bytes of it are here."""
        whole = total_bytes is not None and done_bytes >= total_bytes
        now = self._now()
        if not whole and now - self._told_s.get(name, -_EVERY_S) < _EVERY_S:
            return
        self._told_s[name] = now
        of = "" if total_bytes is None else f" of {_megabytes(total_bytes)}"
        self._say(f"  {name}: {_megabytes(done_bytes)}{of} MB")


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f}"


async def fetch(stage: str, choice: EngineChoice, say: Callable[[str], None]) -> None:
    """Fetch what an engine would load. Raises ConfigError with what to do, for whatever keeps it from being fetched."""
    name = choice.engine
    download: ModelDownload | None = getattr(engine_module(stage, name), "download", None)
    if download is None:
        say(f"{stage} engine {name!r}: nothing to fetch")
        return
    config = engine_config(stage, name, choice.options)
    try:
        await download(config, ProgressLines(say))
    except ImportError as error:
        raise ConfigError(f"{stage} engine {name!r}: {missing_package(error, extra_of(stage, name))}") from error
    except Exception as error:
        if not is_of_network(error):
            raise
        raise ConfigError(
            f"{stage} engine {name!r}: its model cannot be fetched: {error}\n"
            "Is there a network? Without one, fetch it where there is, copy its folder to this machine, and name the "
            f"folder in the options of args.{stage}."
        ) from error
    say(f"{stage} engine {name!r}: its models are here")


def is_of_network(error: BaseException) -> bool:
    """Whether an error, or one that it came from, is that nobody was reached."""
    return any(
        isinstance(each, _NETWORK_ERRORS) or type(each).__module__.partition(".")[0] in _NETWORK_PACKAGES
        for each in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _say(line: str) -> None:
    print(line, flush=True)


def fetched(stage: str, choice: EngineChoice) -> bool:
    """Fetch, telling how it goes at the terminal; whether it is all here."""
    try:
        asyncio.run(fetch(stage, choice, _say))
    except ConfigError as error:
        print(error, file=sys.stderr, flush=True)
        return False
    return True


def main() -> None:
    """Fetch for the choice on the standard input."""
    choice = EngineChoice.model_validate_json(sys.stdin.read())
    sys.exit(0 if fetched(sys.argv[1], choice) else 1)


if __name__ == "__main__":
    main()
