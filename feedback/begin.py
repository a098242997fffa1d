"""How a process of the loop begins: with settings that hold, or not at all. Door."""

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ValidationError

from feedback.events import first_complaint

# EX_CONFIG of sysexits.h: the same settings would fail again, so nobody need start it again.
BAD_SETTINGS = 78
_SECRETS = ("secret", "engine_key", "serving_token_keys")


def _apart(said: object) -> object:
    if not isinstance(said, str):
        return said
    return tuple(one.strip().rstrip("/") for one in said.split(",") if one.strip())


def _checked(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in urls:
        if not re.fullmatch(r"https?://[^\s?#]+", url):
            raise ValueError(f"{url!r} is no address; expected http://HOST:PORT")
    return urls


def _no_address(said: object) -> object:
    if "://" in str(said):
        raise ValueError("expected a folder: mount the store to write to it")
    return said


Folder = Annotated[Path, BeforeValidator(_no_address)]  # s3://… would quietly become s3:/…
Addresses = Annotated[tuple[str, ...], BeforeValidator(_apart), AfterValidator(_checked)]


def no_arguments(program: str, told: str | None) -> None:
    """What a process does is set in the environment alone. Ends it at --help, or any other word."""
    end = (
        "It takes no arguments: what it does is set in the environment, see docs/configuration.md."
    )
    argparse.ArgumentParser(
        prog=program,
        description=told,
        epilog=end,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()


@contextmanager
def settings_told() -> Iterator[None]:
    """What is wrong with a setting ends the process, in one line."""
    try:
        yield
    except ValidationError as error:
        _end(_complaint(error), error)
    except ValueError as error:
        _end(str(error), error)


def _complaint(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "missing":
        return f"{field}: not set; expected THUMBWHEEL_{field.upper()} in the environment"
    if field in _SECRETS:  # what was got is for no log
        said = first["msg"].replace("items after validation", "characters")
        return f"{field}: {said.partition(',')[0]}"
    return first_complaint(error)


def _end(complaint: str, error: ValueError) -> None:
    print(f"settings: {complaint}", file=sys.stderr)
    raise SystemExit(BAD_SETTINGS) from error
