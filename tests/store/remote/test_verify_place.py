"""A check of what machines share."""

from __future__ import annotations

from pathlib import Path

from nodegraph.errors import InvalidFile
from nodegraph.store.remote.object_storage import ObjectStorage, open_storage
from nodegraph.store.remote.objects import verify_storage
from tests.messages import raises
from tests.store.support import open_at, put

LONG = "a long text " * 2_000


def test_damage_is_named_and_removed(place: ObjectStorage, tmp_path: Path) -> None:
    with open_at(tmp_path / "one", storage=place) as one:
        for name in range(3):
            put(one, name, f"{name} {LONG}")
    sound = verify_storage(place)
    assert (sound.entries, sound.files, sound.missing, sound.is_sound) == (3, 3, 0, True)
    entry, _ = min(place.list("entries"))
    first, second, _ = sorted(name for name, _ in place.list("artifacts"))
    place.write(entry, b"nothing")
    place.write(first, place.read(first)[:-1])
    place.remove(second)
    found = verify_storage(place, repair=True)
    assert sorted(found.damaged) == sorted([entry, first])
    assert not found.is_sound
    again = verify_storage(place)
    assert (again.entries, again.files, again.is_sound) == (2, 1, True)


def test_a_place_that_is_away_is_told(tmp_path: Path) -> None:
    with raises(InvalidFile):
        verify_storage(open_storage((tmp_path / "away").as_uri()))
