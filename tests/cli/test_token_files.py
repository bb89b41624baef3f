"""Tokens that were made elsewhere, as secrets of containers are."""

from __future__ import annotations

from pathlib import Path

from nodegraph.server.access.tokens import TokenFile, Tokens
from tests.cli.conftest import Cli

ONE = f"ng_{'0a' * 6}_{'b1' * 24}"
OTHER = f"ng_{'0c' * 6}_{'d2' * 24}"


def secret(text: str) -> Path:
    path = Path("secret")
    path.write_text(f"{text}\n")
    return path


def test_a_token_from_a_file_lets_in_and_is_not_shown(cli: Cli, tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = cli("--home", home, "token", "add", "studio", "--from", secret(ONE), "--scope", "admin")
    assert done.code == 0, done.err
    assert "b1b1" not in done.out + done.err
    caller = Tokens(home / "tokens.json").caller(ONE)
    assert caller is not None
    assert (caller.name, caller.may("admin")) == ("studio", True)


def test_adding_it_at_each_start_changes_nothing_but_what_has_changed(
    cli: Cli, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    arguments = ("--home", home, "token", "add", "studio", "--from", secret(ONE))
    assert cli(*arguments).code == 0
    before = TokenFile(home / "tokens.json").read()
    assert cli(*arguments).code == 0
    assert TokenFile(home / "tokens.json").read() == before
    assert cli(*arguments, "--scope", "read").code == 0
    (token,) = TokenFile(home / "tokens.json").read()
    assert token.scopes == {"read"}
    secret(OTHER)
    assert cli(*arguments).code == 0
    tokens = Tokens(home / "tokens.json")
    assert tokens.caller(ONE) is None
    assert tokens.caller(OTHER) is not None


def test_what_is_no_token_is_refused_without_being_shown(cli: Cli, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for text in ("hunter2", ONE[:-1], "", ONE * 20):
        done = cli("--home", home, "token", "add", "studio", "--from", secret(text))
        assert done.code == 2
        assert "not a token" in done.err
        assert not text or text not in done.err
    assert cli("--home", home, "token", "add", "studio", "--from", "nowhere").code == 2
    done = cli("--home", home, "token", "add", "a b", "--from", secret(ONE))
    assert done.code == 2
    assert not (home / "tokens.json").exists() or not TokenFile(home / "tokens.json").read()


def test_a_first_token_that_locks_administrators_out_is_told(cli: Cli, tmp_path: Path) -> None:
    def said(name: str, *more: object) -> str:
        done = cli("--home", home, "token", "add", name, *more)
        assert done.code == 0
        return done.err

    for number, more in enumerate([(), ("--from", secret(ONE))]):
        home = tmp_path / str(number)
        assert "--scope admin" in said("app", *more)
        assert "--scope admin" not in said("another")
    home = tmp_path / "home"
    assert "--scope admin" not in said("boss", "--scope", "admin")


def test_a_token_stands_for_one_name(cli: Cli, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert cli("--home", home, "token", "add", "studio", "--from", secret(ONE)).code == 0
    done = cli("--home", home, "token", "add", "other", "--from", secret(ONE))
    assert done.code == 2
    assert "another name" in done.err
    done = cli("--home", home, "token", "add", "local", "--from", secret(OTHER))
    assert done.code == 2
