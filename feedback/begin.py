"""How a process of the loop begins: with settings that hold, or not at all. Door."""

import argparse
import os
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from json import JSONDecodeError
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationError

from feedback.events import first_complaint
from feedback.topics import LogAway

# EX_CONFIG of sysexits.h: the same settings would fail again, so nobody need start it again.
BAD_SETTINGS = 78
_SECRETS = ("secret", "engine_key", "serving_token_keys", "trainer_judge_key", "ops_key")
# What Kubernetes tells pods of a Service that is named as a room is.
_SERVICE = re.compile(r"^(SERVICE_(HOST|PORT)|PORT_[0-9]+_(TCP|UDP))")
_SAY_IT_ALL = ("engine_url", "ops_prometheus_url", "serving_origins", "trainer_judge_url")


def _apart(said: object) -> object:
    if not isinstance(said, str):
        return said
    return tuple(one.strip().rstrip("/") for one in said.split(",") if one.strip())


def _checked(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in urls:
        if why := _fault(url):
            raise ValueError(f"{why}; expected http://HOST:PORT")
    if len({*urls}) < len(urls):
        raise ValueError(f"{', '.join(urls)} names one twice; expected each once")
    return urls


def _fault(url: str) -> str | None:
    if "@" in url:  # neither is for a log
        return "an address has a user or a password in it"
    try:
        at = urlsplit(url)
        port = at.port
    except ValueError as error:
        return f"{url!r} is no address: {error}"
    written = re.fullmatch(r"https?://[!-~]+", url) and not (at.query or at.fragment)
    if not written or not at.hostname or port == 0:
        return f"{url!r} is no address"
    return f"{url!r} ends in /v1, which is added" if url.endswith("/v1") else None


def _no_address(said: object) -> object:
    if "://" in str(said):
        raise ValueError("expected a folder: mount the store to write to it")
    return said


def _header(key: SecretStr) -> SecretStr:
    said = key.get_secret_value().strip()  # a file ends in a line break, and so do many secrets
    if not re.fullmatch(r"[ -~]*", said):
        raise ValueError("expected printable ASCII")
    return SecretStr(said)


Key = Annotated[SecretStr, AfterValidator(_header)]  # that stands in a header
Folder = Annotated[Path, BeforeValidator(_no_address)]  # s3://… would quietly become s3:/…
Addresses = Annotated[tuple[str, ...], BeforeValidator(_apart), AfterValidator(_checked)]


def no_arguments(program: str, told: str | None) -> None:
    """Ends the process at --help, or at any other word."""
    end = "It takes no arguments; docs/configuration.md has what is set in the environment."
    argparse.ArgumentParser(
        prog=program,
        description=told,
        epilog=end,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()


@contextmanager
def settings_told(room: str, known: Collection[str]) -> Iterator[None]:
    """What is wrong with a setting, or no setting of the room, ends the process, in one line."""
    try:
        known_only(known, room)
        yield
    except ValidationError as error:
        _end(settings_complaint(error), error)
    except ValueError as error:
        _end(_told(error), error)
    except LogAway as error:  # a file that cannot be opened
        print(f"the log cannot be opened: {error}", file=sys.stderr)
        raise SystemExit(1) from error


def settings_complaint(error: ValidationError) -> str:
    """What is wrong with a setting, for a person; of a secret no letter."""
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "missing" and len(first["loc"]) == 1:
        return f"{field}: not set; expected THUMBWHEEL_{field.upper()} in the environment"
    if field in _SECRETS:  # what was got is for no log
        said = first["msg"].replace("items after validation", "characters")
        said = said.removeprefix("Value error, ")
        return f"{field}: {said.partition(',')[0]}"
    if field in _SAY_IT_ALL:
        return f"{field}: {first['msg'].removeprefix('Value error, ')}"
    return first_complaint(error)


def _told(error: ValueError) -> str:
    cause = error.__cause__
    if not isinstance(cause, JSONDecodeError):
        return str(error)
    field = str(error).partition('"')[2].partition('"')[0]  # as pydantic-settings tells it
    got = "" if field in _SECRETS else f" (got {cause.doc[:80]!r})"
    return f"{field}: expected JSON: {cause}{got}"


def known_only(settings: Collection[str], room: str) -> None:
    """A setting of this room that there is not was mistyped, or is of another version."""
    start = f"THUMBWHEEL_{room.upper()}_"
    known = {name.upper().removeprefix(f"{room.upper()}_") for name in settings}
    asked = {name.removeprefix(start) for name in os.environ if name.startswith(start)}
    for name in sorted(one for one in asked - known if not _SERVICE.search(one)):
        close = get_close_matches(name, known, 1)
        meant = f"; did you mean {start}{close[0]}?" if close else ""
        raise ValueError(f"{start}{name} is no setting{meant}")


def _end(complaint: str, error: ValueError) -> None:
    print(f"settings: {complaint}", file=sys.stderr)
    raise SystemExit(BAD_SETTINGS) from error
