import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.tts.text_pieces import pieces


def cut(text: str, max_chars: int) -> list[str]:
    return [text[start:end] for start, end in pieces(text, max_chars)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("Short.", ["Short."]),
        ("One. Two. Three four five.", ["One. Two. ", "Three four five."]),
        ("He said “go.” Then all of it", ["He said “go.” ", "Then all of it"]),
        ("no full stop, only commas here", ["no full stop, ", "only commas here"]),
        ("only words and no signs at all", ["only words and no ", "signs at all"]),
        ("x" * 45, ["x" * 20, "x" * 20, "x" * 5]),
        ("一二三四五六七八九十。一二三四五六七八九十", ["一二三四五六七八九十。", "一二三四五六七八九十"]),
    ],
)
def test_cuts_after_sentences_then_clauses_then_words(text: str, parts: list[str]) -> None:
    assert cut(text, 20) == parts


@given(st.text(alphabet="ab ,.!\n。", max_size=200), st.integers(1, 50))
def test_pieces_join_to_the_text(text: str, max_chars: int) -> None:
    parts = cut(text, max_chars)
    assert "".join(parts) == text
    assert all(0 < len(part) <= max_chars for part in parts)
