"""Ray's label selectors: which nodes a replica may run on."""

from collections.abc import Mapping


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a node meets every condition: `value`, `!value`, `in(a,b)` or `!in(a,b)`.

    Labels that Ray itself gives to nodes (`ray.io/…`) are known only when it runs; they count as met.
    """
    return all(
        _meets(wanted, labels.get(key)) for key, wanted in selector.items() if not _given_by_ray(key) or key in labels
    )


def _given_by_ray(key: str) -> bool:
    return key.startswith("ray.io/")


def _meets(wanted: str, value: str | None) -> bool:
    negated, condition = wanted.startswith("!"), wanted.removeprefix("!").strip()
    if condition.startswith("in(") and condition.endswith(")"):
        found = value in [each.strip() for each in condition[3:-1].split(",")]
    else:
        found = value == condition
    return found != negated
