"""The file of keys, read again as it changes, at times told by hand."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from serving.keys import LOOK_SECONDS, BadKeys, Keys
from tests.serving.gateway import keys_for

HASH = sha256(b"key-of-shop").hexdigest()
CHAT = 'scopes = ["chat"]'


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def known(keys: Keys, *apps: str) -> list[bool]:
    return [keys.find(f"key-of-{app}") is not None for app in apps]


def test_a_key_is_found_by_its_hash_and_says_whose_it_is_and_what_it_may(tmp_path: Path) -> None:
    lines = 'scopes = ["chat", "verdicts"]\nrequests_per_minute = 600\nuser_requests_per_minute = 3'
    found = Keys(keys_for(tmp_path, shop=lines)).find("key-of-shop")
    assert found is not None
    app, key = found
    assert (app, key.requests_per_minute, key.user_requests_per_minute) == ("shop", 600, 3)
    assert (key.may("chat"), key.may("verdicts"), key.may("admin")) == (True, True, False)


def test_what_is_no_key_is_not_found(tmp_path: Path) -> None:
    keys = Keys(keys_for(tmp_path, shop=CHAT))
    for secret in ("", "key-of-shop ", "key-of-sho", HASH, "é"):
        assert keys.find(secret) is None


def test_admin_may_do_all_and_no_scope_nothing(tmp_path: Path) -> None:
    keys = Keys(keys_for(tmp_path, boss='scopes = ["admin"]', idle="scopes = []"))
    boss, idle = keys.find("key-of-boss"), keys.find("key-of-idle")
    assert boss and idle
    assert all(boss[1].may(scope) for scope in ("chat", "verdicts", "admin"))
    assert not any(idle[1].may(scope) for scope in ("chat", "verdicts", "admin"))


def test_a_change_is_seen_a_little_later(tmp_path: Path) -> None:
    clock = Clock()
    keys = Keys(keys_for(tmp_path, shop=CHAT), clock)
    keys_for(tmp_path, shop=CHAT, blog=CHAT)
    clock.now = LOOK_SECONDS
    assert known(keys, "shop", "blog") == [True, False]
    clock.now += 0.1
    assert known(keys, "shop", "blog") == [True, True]
    keys_for(tmp_path, blog=CHAT)
    clock.now += LOOK_SECONDS + 0.1
    assert known(keys, "shop", "blog") == [False, True]


def test_a_file_put_in_the_place_of_another_is_seen(tmp_path: Path) -> None:
    clock = Clock()
    path = keys_for(tmp_path, shop=CHAT)
    keys, before = Keys(path, clock), path.stat()
    (tmp_path / "new").mkdir()
    new = keys_for(tmp_path / "new", blog=CHAT)  # as long as the other, and as old
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(path)
    clock.now = LOOK_SECONDS + 0.1
    assert known(keys, "shop", "blog") == [False, True]


BROKEN = {
    "no TOML": "[shop",
    "no text": b"\xff\xfe".decode("latin-1"),
    "a bad hash": f'[shop]\nsha256 = "{HASH[:-1]}"\n{CHAT}',
    "nothing": None,
}


@pytest.mark.parametrize("how", BROKEN)
def test_the_last_good_file_holds_while_it_is_broken(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock, said = Clock(), BROKEN[how]
    path = keys_for(tmp_path, shop=CHAT)
    keys = Keys(path, clock)
    path.unlink()
    if said is not None:
        path.write_text(said, "latin-1")
    clock.now = LOOK_SECONDS + 0.1
    assert known(keys, "shop") == [True]
    assert "the keys stay as they were: the file of keys" in caplog.text
    keys_for(tmp_path, blog=CHAT)
    clock.now += LOOK_SECONDS + 0.1
    assert known(keys, "shop", "blog") == [False, True]


WRONG = [
    ("[shop", "cannot be read: Expected ']'"),
    (CHAT, "scopes: Input should be"),
    (f"[shop]\n{CHAT}", "shop.sha256: Field required"),
    (f'[shop]\nsha256 = "{HASH.upper()}"\n{CHAT}', "shop.sha256: String should match"),
    (f'[shop]\nsha256 = "{HASH}\\n"\n{CHAT}', "shop.sha256: String should match"),
    (f'[shop]\nsha256 = "{HASH}"', "shop.scopes: Field required"),
    (f'[shop]\nsha256 = "{HASH}"\nscopes = ["all"]', "shop.scopes.0: Input should be 'chat'"),
    (f'[shop]\nsha256 = "{HASH}"\n{CHAT}\nper_minute = 1', "shop.per_minute: Extra inputs"),
    (
        f'[shop]\nsha256 = "{HASH}"\n{CHAT}\nrequests_per_minute = 0',
        "shop.requests_per_minute: Input should be greater than 0",
    ),
    (
        f'[shop]\nsha256 = "{HASH}"\n{CHAT}\nuser_requests_per_minute = "3"',
        "shop.user_requests_per_minute: Input should be a valid integer",
    ),
    (
        f'[shop]\nsha256 = "{HASH}"\n{CHAT}\n[blog]\nsha256 = "{HASH}"\n{CHAT}',
        "has one key under two names",
    ),
]


@pytest.mark.parametrize(("said", "complaint"), WRONG)
def test_a_file_that_cannot_be_used_is_told_with_its_field(
    tmp_path: Path, said: str, complaint: str
) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(said)
    with pytest.raises(BadKeys) as caught:
        Keys(path)
    assert str(caught.value).startswith(f"the file of keys {str(path)!r}")
    assert complaint in str(caught.value)


def test_a_file_that_there_is_not_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadKeys, match=r"nowhere\.toml' cannot be read: .*No such file"):
        Keys(tmp_path / "nowhere.toml")
