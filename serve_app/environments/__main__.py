"""`make env ENGINE=…`: `python -m serve_app.environments EXTRA`."""

import sys

from configs.environments import extras
from deployments.runtime.errors import ConfigError
from serve_app.environments.environment import Environment
from serve_app.environments.preparation import prepare


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """Prepare one environment."""
    # An engine's module may be given as well: faster_whisper.
    extra = sys.argv[1].replace("_", "-") if len(sys.argv) == 2 else ""
    if not extra:
        sys.exit(f"Say which: make env ENGINE=…, one of {', '.join(extras())}")
    try:
        prepare(Environment(extra), _say)
    except ConfigError as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
