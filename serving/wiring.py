"""Real parts put together: all that the gateway and the middleware have in common."""

import logging
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from hashlib import blake2b
from importlib import import_module

from feedback.log import VERDICTS, Log, LogAway, open_log
from feedback.privacy import BUILT_IN, Redact
from feedback.spool import Spool
from serving.api import Parts
from serving.chat import Chat, Traced, untraced
from serving.compare import Compare
from serving.door import Door
from serving.engines import Engine, Engines
from serving.keys import Keys, OneKey
from serving.limits import InFlight
from serving.metrics import Metrics
from serving.parents import Parents
from serving.rater import Raters
from serving.settings import Settings
from serving.table import Table
from serving.tokens import Tokens
from serving.verdicts import Verdicts

_DAY_SECONDS = 86_400
_log = logging.getLogger(__name__)


def wire(
    settings: Settings,
    engines: Sequence[Engine],
    until_the_end: ExitStack,
    own_key: OneKey | None = None,
) -> Parts:
    """`own_key`: of the server that we live in; it holds where there is no file of keys."""
    redact = redactor(settings.serving_redact) if settings.serving_redact else None
    keys = Keys(settings.serving_keys) if settings.serving_keys else own_key
    door = Door(keys, InFlight(settings.serving_max_in_flight))
    secret = settings.secret.get_secret_value().encode()
    tokens = Tokens(token_keys(settings))
    traced = tracing(settings, until_the_end)  # its last words come after the spool is closed
    log = until_the_end.enter_context(closing(open_log(settings.log)))
    check(log)
    waiting = Spool(settings.serving_spool, log, max_bytes=settings.serving_spool_max_bytes)
    spool = until_the_end.enter_context(closing(waiting))
    table = until_the_end.enter_context(closing(Table(log, settings.serving_first_stable)))
    table.start()
    engine = Engines(engines, settings.serving_engine_connections)
    metrics = Metrics()
    metrics.watch(
        split_revision=table.revision,
        spool_bytes=lambda: spool.waiting_bytes,
        spool_max_bytes=settings.serving_spool_max_bytes,
        in_flight=lambda: door.in_flight.now,
        engines=engine.states,
    )
    chat = Chat(
        name=settings.name,
        secret=secret,
        split=table.current,
        engine=engine,
        spool=spool,
        metrics=metrics,
        tokens=tokens,
        token_seconds=settings.serving_token_days * _DAY_SECONDS,
        parent=Parents(settings.adapters).of,
        traced=traced,
        redact=redact,
    )
    return Parts(
        name=settings.name,
        door=door,
        chat=chat,
        compare=Compare(chat),
        verdicts=Verdicts(Raters(secret, tokens, door), spool, metrics, redact),
        engine=engine,
        table=table,
        metrics=metrics,
        max_body_bytes=settings.serving_max_body_bytes,
        max_prompt_chars=settings.serving_max_prompt_chars,
        origins=settings.serving_origins,
    )


def tracing(settings: Settings, until_the_end: ExitStack) -> Traced:
    if settings.serving_traces is None:
        return untraced
    from serving.traces import Traces  # only who wants traces waits for OpenTelemetry

    return until_the_end.enter_context(closing(Traces(settings.serving_traces, settings.name))).of


def token_keys(settings: Settings) -> dict[str, bytes]:
    """As they are set, or one that follows from the secret."""
    if settings.serving_token_keys is None:
        secret = settings.secret.get_secret_value().encode()
        return {"0": blake2b(secret, person=b"feedback-token").digest()}
    keys = {}
    for one in settings.serving_token_keys.get_secret_value().split(","):
        name, _, key = one.strip().partition(":")
        if not name or name in keys or len(key) < 16:  # what it is is not told: it is a secret
            raise ValueError(
                "serving_token_keys: expected ID:KEY,ID:KEY, no ID twice, and at least 16 "
                "characters in each KEY"
            )
        keys[name] = key.encode()
    return keys


def check(log: Log) -> None:
    """One that would lose or misplace records ends the process; one that is away does not."""
    try:
        log.partitions(VERDICTS.name)
    except LogAway as error:
        _log.warning("the log is away; what comes waits in the spool: %s", error)
    except ValueError as error:
        sys.exit(f"the log is refused: {error}")


def redactor(name: str) -> Redact:
    """A built-in one, or the operator's own. A name of none ends the process."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    said = f"serving_redact is {name!r}; expected"
    if not re.fullmatch(r"\w+(?:\.\w+)*:\w+", name):
        sys.exit(f"{said} {', '.join(BUILT_IN)} or package.module:function")
    place, _, function = name.partition(":")
    try:
        module = import_module(place)
    except ImportError as error:
        sys.exit(f"{said} a module that can be imported: {error}")
    if not hasattr(module, function):
        sys.exit(f"{said} a function of {place}, which has no {function}")
    found = getattr(module, function)
    if not callable(found):
        sys.exit(f"{said} a function, not a {type(found).__name__}")
    redact: Redact = found
    return redact
