"""How words are pronounced that an engine gets wrong: an assistant's own list."""

import re
from collections.abc import Callable, Iterator, Mapping

from deployments.media.speakable.spoken import Change


def finders(lexicon: Mapping[str, str]) -> tuple[Callable[[str], Iterator[Change]], ...]:
    """Whole words, however they are capitalised; an entry that is written exactly so goes before one that is not."""
    if not lexicon:
        return ()
    folded = {word.casefold(): said for word, said in reversed(list(lexicon.items()))}
    names = "|".join(sorted(map(re.escape, lexicon), key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)(?:{names})(?!\w)", re.IGNORECASE)

    def find(text: str) -> Iterator[Change]:
        for match in pattern.finditer(text):
            word = match[0]
            said = lexicon.get(word, folded.get(word.casefold()))
            if said is not None:
                yield Change(match.start(), match.end(), said)

    return (find,)
