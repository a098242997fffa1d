"""How far in the log a file of examples reaches, told by its name. Pure."""

from collections import defaultdict
from collections.abc import Callable

# How far in the log: `topic/partition` to the offset of the first record not yet taken in.
Watermark = dict[str, int]
_TOPICS = ("completions", "verdicts")


def reaches_beyond(mark: Watermark) -> Callable[[str], bool]:
    """Whether a file of that name reaches beyond the mark: by its letters, as files may be many."""
    ends = defaultdict[str, list[str]](lambda: [_offset(0)] * len(_TOPICS))
    for place, offset in mark.items():
        topic, _, partition = place.partition("/")
        if topic in _TOPICS:
            ends[_partition(partition)][_TOPICS.index(topic)] = _offset(offset)

    def asked(name: str) -> bool:
        partition, completions, verdicts = _parts(name)
        mine = ends[partition]
        return completions > mine[0] or verdicts > mine[1]

    return asked


def name_of(end: Watermark) -> str:
    """`PARTITION-COMPLETIONS-VERDICTS.parquet`, so that names sort as the log does."""
    partition = next(iter(end)).partition("/")[2]
    reach = "-".join(_offset(end[f"{topic}/{partition}"]) for topic in _TOPICS)
    return f"{_partition(partition)}-{reach}.parquet"


def _partition(number: str) -> str:
    return f"{int(number):04d}"


def _offset(number: int) -> str:
    return f"{number:012d}"


def _parts(name: str) -> list[str]:
    return name.partition(".")[0].split("-")


def end_of(name: str) -> Watermark:
    partition, *reach = map(int, _parts(name))
    return {f"{topic}/{partition}": offset for topic, offset in zip(_TOPICS, reach, strict=True)}
