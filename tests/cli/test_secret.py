"""`nodegraph secret` stores keys that it never shows."""

from __future__ import annotations

import json
from pathlib import Path

from nodegraph.store.secrets import SecretStore
from tests.cli.conftest import Cli

VALUE = "sk-0123456789abcdef"


def test_secrets_are_set_listed_and_removed(cli: Cli, tmp_path: Path) -> None:
    home = tmp_path / "home"
    file = tmp_path / "key.txt"
    file.write_text(f"{VALUE}\n")
    arguments = ("--from", file, "--host", "api.openai.com", "--host", "openrouter.ai")
    done = cli("--home", home, "secret", "set", "openai", *arguments)
    assert done.code == 0, done.err
    listed = cli("--home", home, "secret", "list")
    assert "openrouter.ai" in listed.out
    as_json = cli("--home", home, "secret", "list", "--json")
    [secret] = json.loads(as_json.out)["secrets"]
    assert secret["hosts"] == ["api.openai.com", "openrouter.ai"]
    for shown in (done, listed, as_json):
        assert VALUE not in shown.out + shown.err
    assert SecretStore(home / "secrets.json").get("openai").value == VALUE
    assert cli("--home", home, "secret", "remove", "openai").code == 0
    assert "No secrets" in cli("--home", home, "secret").out


def test_wrong_secrets_are_refused_without_being_shown(cli: Cli, tmp_path: Path) -> None:
    home = tmp_path / "home"
    file = tmp_path / "key.txt"
    file.write_text(f"two {VALUE}")
    for arguments in (("--host", "a.b"), ("--host", "*"), ()):
        done = cli("--home", home, "secret", "set", "openai", "--from", file, *arguments)
        assert done.code == 2
        assert VALUE not in done.out + done.err
    done = cli("--home", home, "secret", "remove", "openai")
    assert done.code == 2
    assert "there is no secret of this name" in done.err
