"""`kafka://…` → which brokers, which topics, and how to be let in. Knows no Kafka."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feedback.events import first_complaint
from feedback.topics import MAX_RECORD_BYTES

MAX_REQUEST_BYTES = MAX_RECORD_BYTES + 10_000  # with what Kafka puts around a record
EXPECTED = (
    "kafka://HOST:PORT,HOST:PORT?partitions=6&replication=3&retention_days=30&client=FILE.json"
)
# What a client's file may set: how to reach the brokers and be let in. What makes the log durable
# is not for a file to change.
ALLOWED = (
    *("security_protocol", "client_id", "proxy_url", "socks5_proxy"),
    *("sasl_mechanism", "sasl_plain_username", "sasl_plain_password", "sasl_kerberos_name"),
    *("sasl_kerberos_service_name", "sasl_kerberos_domain_name"),
    *("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_crlfile"),
    "ssl_check_hostname",
)


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid")

    partitions: Annotated[int, Field(ge=1, le=1000)] = 6
    replication: Annotated[int, Field(ge=1, le=32767)] | None = None  # None: as the brokers say
    retention_days: Annotated[float, Field(gt=0, le=36500)] = 30.0
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]*$", max_length=200)] = "thumbwheel."
    client: Path | None = None


@dataclass(frozen=True)
class Cluster:
    servers: str
    partitions: int
    partitions_stated: bool
    replication: int  # -1: as the brokers say
    retention_days: float
    prefix: str
    client: Mapping[str, Any] = field(repr=False)  # as kafka-python wants it, passwords included
    answer_seconds: float = 10.0  # an election took 6.4 s; longer is away


def read_url(url: str) -> Cluster:
    if "@" in re.sub(r"[?&]client=[^&]*", "", url):  # a password is for no log; a path may be
        raise ValueError(f"log url has a user or a password in it; expected {EXPECTED}")
    try:
        parts = urlsplit(url)
        words = parse_qsl(parts.query, strict_parsing=True) if parts.query else []
        asked = _Query.model_validate(dict(words))
    except ValidationError as error:
        raise ValueError(f"log url is {url!r}: {first_complaint(error)}") from error
    except ValueError as error:
        raise ValueError(f"log url is {url!r}: {error}; expected {EXPECTED}") from error
    servers = [server for server in parts.netloc.split(",") if server]
    sound = all(re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d{1,5})?", one) for one in servers)
    if not servers or not sound or parts.path.strip("/"):
        raise ValueError(f"log url is {url!r}; expected {EXPECTED}")
    return Cluster(
        servers=",".join(servers),
        partitions=asked.partitions,
        partitions_stated="partitions" in asked.model_fields_set,
        replication=asked.replication or -1,
        retention_days=asked.retention_days,
        prefix=asked.prefix,
        client={"bootstrap_servers": servers} | _client(asked.client),
    )


def _client(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        said = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"the client file {path} cannot be read: {error}") from error
    if not isinstance(said, dict):
        raise ValueError(f"{path} holds {type(said).__name__}; expected a JSON object")
    for name in said:
        if name not in ALLOWED:
            close = get_close_matches(name, ALLOWED, 1)
            expected = f"did you mean {close[0]}?" if close else f"expected {', '.join(ALLOWED)}"
            raise ValueError(f"{path} sets {name!r}; {expected}")
    return said
