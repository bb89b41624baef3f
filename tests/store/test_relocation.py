"""Values name files; those that were moved along with the store are found where they lie now."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph.core.values import RecipeFile, Vae
from nodegraph.store.store import OutputGone
from tests.store.support import key_of, open_at, output, put

DIGEST = "ab" * 32


def trained(home: Path) -> Vae:
    """A recipe of weights below a home folder."""
    path = home / "taught" / DIGEST / "weights.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    return Vae("sd1", (RecipeFile("vae", str(path), DIGEST),))


@pytest.mark.parametrize("place", ["elsewhere/home", "elsewhere", "further/off/other"])
def test_files_of_a_home_that_was_moved_are_found_in_it(tmp_path: Path, place: str) -> None:
    before, after = tmp_path / "home", tmp_path / place
    with open_at(before / "cache" / "store") as store:
        put(store, "trained", trained(before))
    after.parent.mkdir(parents=True, exist_ok=True)
    before.rename(after)
    for read_only in (True, False, True):
        with open_at(after / "cache" / "store", read_only=read_only) as store:
            (file,) = store.load(output(store, "trained")).files
            assert file.path == str(after / "taught" / DIGEST / "weights.safetensors")
    # And once more, from either of its former places.
    after.rename(tmp_path / "last")
    with open_at(tmp_path / "last" / "cache" / "store") as store:
        put(store, "later", trained(tmp_path / "last" / "more"))
        (file,) = store.load(output(store, "trained")).files
        assert Path(file.path).is_relative_to(tmp_path / "last")


def test_a_file_that_is_gone_is_gone_wherever_the_store_is(tmp_path: Path) -> None:
    before, after = tmp_path / "home", tmp_path / "elsewhere"
    with open_at(before / "store") as store:
        recipe = trained(before)
        put(store, "trained", recipe)
    before.rename(after)
    (after / "taught" / DIGEST / "weights.safetensors").unlink()
    with open_at(after / "store") as store:
        assert store.entry(key_of("trained")) is not None
        with pytest.raises(OutputGone):
            store.load(output(store, "trained"))
