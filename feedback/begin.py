"""How a process of the loop begins: with settings that hold, or not at all. Door."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from feedback.events import first_complaint

# EX_CONFIG of sysexits.h: the same settings would fail again, so nobody need start it again.
BAD_SETTINGS = 78


@contextmanager
def settings_told() -> Iterator[None]:
    """What is wrong with a setting ends the process, in one line."""
    try:
        yield
    except ValidationError as error:
        _end(first_complaint(error), error)
    except ValueError as error:
        _end(str(error), error)


def _end(complaint: str, error: ValueError) -> None:
    print(f"settings: {complaint}", file=sys.stderr)
    raise SystemExit(BAD_SETTINGS) from error
