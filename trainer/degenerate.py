"""Signs of a broken model in one answer: loops, nothing said, another script. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from unicodedata import name, normalize

_GRAM = 4  # tokens: shorter runs come again in sound text too
# Written with one another: who says the same with fewer kanji speaks no other language.
_KANA = {"HIRAGANA": "CJK", "KATAKANA": "CJK"}
_SAME = 3  # times one token and nothing else; "no no" may be an answer


def repeated(ids: Sequence[int]) -> float:
    """The share of its 4-grams that the answer had said before; too short for one: 0."""
    grams = [tuple(ids[at : at + _GRAM]) for at in range(len(ids) - _GRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def says_nothing(ids: Sequence[int], text: str | None) -> bool:
    """Empty, one token again and again, or only whitespace. `ids`: without the end of text."""
    if not ids or (len(ids) >= _SAME and len(set(ids)) == 1):
        return True
    return text is not None and not text.strip()


def scripts(text: str) -> dict[str, float]:
    """The share of each script among the letters; nothing where there are none."""
    letters = [char for char in normalize("NFKC", text) if char.isalpha()]
    return {found: n / len(letters) for found, n in Counter(map(_script, letters)).items()}


def mean_shares(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Every answer with letters counts the same, long or short."""
    told = [part for part in parts if part]
    known = sorted(set().union(*told))
    return {script: sum(p.get(script, 0.0) for p in told) / len(told) for script in known}


def distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Total variation: the share that would have to move for the two to be the same."""
    return sum(abs(one.get(s, 0.0) - other.get(s, 0.0)) for s in {*one, *other}) / 2


def _script(letter: str) -> str:
    # Python knows no scripts, but names begin with them: LATIN SMALL LETTER A, HANGUL SYLLABLE GA.
    found = name(letter, "UNKNOWN").partition(" ")[0].partition("-")[0]
    return _KANA.get(found, found)
