"""What ops says where Kubernetes cannot be asked; what it answers is in tests/kubernetes."""

from contextlib import closing
from pathlib import Path

import pytest

from ops.account import Account, KubernetesError
from ops.kubernetes import Kubernetes
from tests.free import free_port
from tests.kubernetes import certificate


def complaint(url: str, folder: Path) -> str:
    with closing(Kubernetes(Account(url, folder))) as asked, pytest.raises(KubernetesError) as told:
        asked.config_map("model")
    return str(told.value)


def account(folder: Path) -> Path:
    (folder / "token").write_text("t")
    (folder / "namespace").write_text("default")
    return folder


def test_where_there_is_no_account_the_question_fails_and_nothing_else(tmp_path: Path) -> None:
    told = complaint("https://127.0.0.1:1", tmp_path)
    assert told.startswith(f"{tmp_path}/namespace cannot be read: No such file")


def test_where_the_certificate_is_missing_it_is_named(tmp_path: Path) -> None:
    assert "ca.crt cannot be read" in complaint("https://127.0.0.1:1", account(tmp_path))


def test_a_server_that_is_away_is_named(tmp_path: Path) -> None:
    certificate.write(tmp_path / "ca.crt", tmp_path / "ca.key")
    url = f"https://127.0.0.1:{free_port()}"
    assert complaint(url, account(tmp_path)).startswith(f"{url} does not answer: ConnectError")
