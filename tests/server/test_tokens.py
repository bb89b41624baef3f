"""Tokens: made and taken back by the command line, known to a server while it runs."""

from __future__ import annotations

import json
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nodegraph.cli import main
from nodegraph.errors import InvalidFile, InvalidValue, OutputError
from nodegraph.server.access.caller import SCOPES, Caller, implied
from nodegraph.server.access.tokens import TokenFile, Tokens, split_token
from tests.messages import raises
from tests.server.hosting import eventually, hosted


class Clock:
    now = 1e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path, clock: Clock) -> TokenFile:
    return TokenFile(tmp_path / "tokens.json", clock)


def known(file: TokenFile, clock: Clock) -> Tokens:
    """The tokens of a server that looks at the file each time."""
    return Tokens(file.path, clock, refresh_seconds=0.0)


def test_a_token_stands_for_its_name_and_scopes(file: TokenFile, clock: Clock) -> None:
    text, token = file.add("studio", ["run"])
    caller = known(file, clock).caller(text)
    assert caller == Caller("studio", frozenset({"read", "run"}), token.id)
    assert caller.may("run")
    assert not caller.may("admin")
    assert caller.sees("studio")
    assert not caller.sees("other")


def test_scopes_bring_those_below_them() -> None:
    assert implied(frozenset({"admin"})) == frozenset(SCOPES)
    assert implied(frozenset({"read"})) == frozenset({"read"})
    assert implied(frozenset({"run"})) == frozenset({"read", "run"})


def test_the_file_holds_no_secret_and_is_its_owners_alone(file: TokenFile) -> None:
    text, _ = file.add("studio", ["admin"])
    found = split_token(text)
    assert found is not None
    assert found[1] not in file.path.read_text()
    if sys.platform != "win32":
        assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_what_is_no_good_token_stands_for_nobody(file: TokenFile, clock: Clock) -> None:
    text, token = file.add("studio", ["run"])
    tokens = known(file, clock)
    wrong_end = text[:-1] + ("0" if text[-1] != "0" else "1")
    other_id = f"ng_{'0' * 12}_{text.rpartition('_')[2]}"
    for bad in ("", "ng__", text[:-1], text + "0", wrong_end, other_id, text.upper(), token.sha256):
        assert tokens.caller(bad) is None
    assert tokens.caller(f"ng_{token.id}_{token.sha256}") is None
    assert tokens.caller(text) is not None


def test_changes_count_for_a_server_that_runs(file: TokenFile, clock: Clock) -> None:
    tokens = known(file, clock)
    assert not tokens.are_any
    text, _ = file.add("studio", ["run"])
    assert tokens.are_any
    assert tokens.caller(text) is not None
    file.revoke("studio")
    assert tokens.caller(text) is None
    assert not tokens.are_any


def test_a_new_token_replaces_the_old_one_at_once_or_after_a_while(
    file: TokenFile, clock: Clock
) -> None:
    tokens = known(file, clock)
    first, _ = file.add("studio", ["admin"])
    second, token = file.rotate("studio")
    assert token.scopes == frozenset({"admin"})
    assert tokens.caller(first) is None
    third, _ = file.rotate("studio", grace=100)
    assert tokens.caller(second) is not None
    assert tokens.caller(third) is not None
    clock.now += 101
    assert tokens.caller(second) is None
    assert tokens.caller(third) is not None
    assert [token.name for token in file.read()].count("studio") == 2
    file.add("other", ["read"])
    assert [token.name for token in file.read()].count("studio") == 1


def test_a_token_ends_when_it_was_said_to(file: TokenFile, clock: Clock) -> None:
    text, _ = file.add("guest", ["read"], lifetime=60)
    tokens = known(file, clock)
    assert tokens.caller(text) is not None
    rotated, _ = file.rotate("guest")
    clock.now += 60
    assert tokens.caller(rotated) is None
    assert not tokens.are_any
    file.add("guest", ["read"])


def test_names_are_taken_once_and_must_be_names(file: TokenFile) -> None:
    file.add("studio", ["run"])
    for name in ("studio", "local", "", "a b", "-a", "../x", "ä", "x" * 65):
        with pytest.raises(InvalidValue):
            file.add(name, ["run"])
    for missing in ("studi", "nobody"):
        with pytest.raises(InvalidValue):
            file.revoke(missing)
        with pytest.raises(InvalidValue):
            file.rotate(missing)
    with raises(InvalidValue, given="studi"):
        file.revoke("studi")


def test_a_damaged_file_lets_nobody_in_until_it_is_mended(
    file: TokenFile, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    text, _ = file.add("studio", ["run"])
    tokens = known(file, clock)
    good = file.path.read_bytes()
    for damaged in (b"", b"[]", b"{", good.replace(b'"run"', b'"root"'), good[:-20]):
        file.path.write_bytes(damaged)
        assert tokens.caller(text) is None
        with pytest.raises(InvalidFile):
            file.read()
        with pytest.raises(InvalidFile):
            file.add("other", ["run"])
    assert "no token is accepted" in caplog.text
    file.path.write_bytes(good)
    assert tokens.caller(text) is not None


def test_several_processes_may_change_the_file_at_once(file: TokenFile) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda at: file.add(f"t{at}", ["run"]), range(16)))
    assert sorted(token.name for token in file.read()) == sorted(f"t{at}" for at in range(16))


def test_servers_share_tokens_by_links(file: TokenFile, clock: Clock, tmp_path: Path) -> None:
    share, homes = tmp_path / "share", [tmp_path / "one", tmp_path / "two"]
    share.mkdir()
    for home in homes:
        home.mkdir()
        (home / "tokens.json").symlink_to(share / "tokens.json")
    one, two = (TokenFile(home / "tokens.json", clock) for home in homes)
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda at: (one, two)[at % 2].add(f"t{at}", ["run"]), range(12)))
    there = known(two, clock)
    assert all(there.caller(text) is not None for text, _ in made)
    one.revoke("t0")
    assert there.caller(made[0][0]) is None
    share.rename(tmp_path / "gone")
    assert there.caller(made[1][0]) is None
    share.mkdir()  # as what it is mounted at
    with raises(InvalidFile):
        two.read()
    assert known(two, clock).is_unreadable
    share.rmdir()
    with raises(OutputError):
        two.add("lost", ["run"])


def test_a_server_whose_tokens_cannot_be_read_lets_nobody_in(home: Path) -> None:
    there = home / "tokens.json"
    there.symlink_to(home / "gone" / "tokens.json")
    with hosted(home) as server:
        assert server.client.get("/jobs").status_code == 401
        there.unlink()
        eventually(lambda: server.client.get("/jobs").status_code == 200)
        there.write_text("{")
        eventually(lambda: server.client.get("/jobs").status_code == 401)


def run(home: Path, *arguments: str) -> int:
    return main(["--home", str(home), "token", *arguments])


def test_the_command_line_makes_lists_rotates_and_takes_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "add", "studio", "--scope", "admin", "--days", "3") == 0
    shown = capsys.readouterr()
    text = shown.out.strip()
    tokens = Tokens(tmp_path / "tokens.json", refresh_seconds=0.0)
    caller = tokens.caller(text)
    assert caller is not None
    assert caller.may("admin")
    assert "once" in shown.err
    assert run(tmp_path, "list", "--json") == 0
    (listed,) = json.loads(capsys.readouterr().out)["tokens"]
    assert (listed["name"], listed["scopes"]) == ("studio", ["admin"])
    assert run(tmp_path, "list") == 0
    table = capsys.readouterr().out
    assert "studio" in table
    assert text.rpartition("_")[2] not in table
    assert run(tmp_path, "rotate", "studio", "--json") == 0
    rotated = json.loads(capsys.readouterr().out)["token"]
    assert (tokens.caller(text), tokens.caller(rotated) is None) == (None, False)
    assert run(tmp_path, "revoke", "studio") == 0
    assert tokens.caller(rotated) is None
    assert run(tmp_path, "list") == 0
    assert "No tokens." in capsys.readouterr().out


def test_the_command_line_refuses_what_makes_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "add", "studio", "--scope", "adnin") == 2
    assert "Did you mean `admin`?" in capsys.readouterr().err
    assert run(tmp_path, "revoke", "studio") == 2
    assert run(tmp_path, "rotate", "studio") == 2
    assert not (tmp_path / "tokens.json").exists()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read all")
def test_a_file_that_cannot_be_read_lets_nobody_in(file: TokenFile, clock: Clock) -> None:
    text, _ = file.add("studio", ["run"])
    tokens = known(file, clock)
    file.path.chmod(0)
    os.utime(file.path, (1, 1))
    assert tokens.caller(text) is None
