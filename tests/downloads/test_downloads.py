"""Downloads: continued, checked, never half there, refused with words."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest

from nodegraph.errors import InvalidValue, NodegraphError, OutputError, UnsafeFile
from nodegraph.models.model_library import read_facts, verify_model
from nodegraph.models.model_sources import list_models
from nodegraph.models.remote.download_plans import (
    DownloadError,
    DownloadPlan,
    DownloadStatus,
    PlannedFile,
    Wanted,
)
from nodegraph.models.remote.downloads import AlreadyRunning, Downloads, Stopped
from nodegraph.models.remote.guarded_http import HostRules
from nodegraph.models.remote.hubs import ModelHubs
from tests.downloads.conftest import QUICK
from tests.downloads.stand_in import COMMIT, LOOPBACK, TOKEN, Fault, Site, weights
from tests.downloads.test_sources import DIFFUSERS
from tests.server.disks import small_disk

Opened = Callable[..., Downloads]
BIG = weights(3_000_000)
CDN = "/cdn/a/ink//ink.safetensors"


@pytest.fixture
def plan(site: Site, hubs: ModelHubs) -> DownloadPlan:
    """A file of a repository that is redirected to another host."""
    site.repositories["a/ink"] = {"ink.safetensors": BIG}
    return hubs.resolve("a/ink")


def run(downloads: Downloads, plan: DownloadPlan) -> Path:
    return downloads.run(downloads.add(plan).id)


def starts(site: Site, path: str) -> list[int]:
    """First bytes of the requests of a path."""
    texts = [request.headers.get("Range", "bytes=0-") for request in site.of(path)]
    return [int(text.removeprefix("bytes=").partition("-")[0]) for text in texts]


def visible(folder: Path) -> list[str]:
    """What lists of models and people see of a models folder."""
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in files if not name.startswith("."))


def test_a_file_arrives_whole_with_where_it_comes_from(
    site: Site, opened: Opened, plan: DownloadPlan, tmp_path: Path
) -> None:
    shown: list[DownloadStatus] = []
    downloads = opened()
    path = downloads.run(downloads.add(plan).id, shown.append)
    assert path == tmp_path / "models/checkpoints/ink.safetensors"
    assert path.read_bytes() == BIG
    facts = read_facts(path)
    assert (facts.source, facts.page) == ("a/ink", f"{site.url}/a/ink")
    assert [each.problem for each in verify_model(path)] == [None]
    assert shown[-1].state == "finished"
    assert shown[-1].done == len(BIG)
    assert [each.state for each in downloads.read_all()] == ["finished"]
    assert {model.name for model in list_models([tmp_path / "models"])} >= {
        "checkpoints/ink.safetensors"
    }
    with pytest.raises(InvalidValue, match="already a model"):
        downloads.add(plan)


def test_a_folder_appears_in_one_step_with_all_its_files(
    site: Site, opened: Opened, hubs: ModelHubs, tmp_path: Path
) -> None:
    files = {name: data for name, data in DIFFUSERS.items() if not name.endswith("tensors")}
    files["unet/diffusion_pytorch_model.safetensors"] = weights(5_000)
    site.repositories["a/whole"] = files
    plan = hubs.resolve("a/whole")
    assert plan.is_folder
    site.faults["/cdn/a/whole//vae/config.json"] = Fault(status=404)
    downloads = opened()
    with pytest.raises(DownloadError, match="does not exist"):
        run(downloads, plan)
    assert visible(tmp_path / "models") == []
    path = run(downloads, plan)
    assert (path / "tokenizer/merges.txt").read_bytes() == b""
    assert sorted(visible(path)) == sorted([*(file.path for file in plan.files), "nodegraph.json"])
    # What had come before the fault did not come again.
    assert len(site.of("/cdn/a/whole//model_index.json")) == 1


def test_a_lost_connection_is_continued_where_it_broke_off(
    site: Site, opened: Opened, plan: DownloadPlan
) -> None:
    site.faults[CDN] = Fault(cut=1_000_000)
    path = run(opened(), plan)
    assert path.read_bytes() == BIG
    first, second = starts(site, CDN)
    assert first == 0
    assert 500_000 < second <= 1_000_000


def test_a_connection_that_is_lost_for_good_leaves_a_part_for_the_next_time(
    site: Site, opened: Opened, plan: DownloadPlan, tmp_path: Path
) -> None:
    site.faults[CDN] = Fault(cut=1_000_000, times=-1, headers={"X": "y"})
    downloads = opened(retries=replace(QUICK, attempts=1))
    with pytest.raises(DownloadError, match="connection was lost"):
        run(downloads, plan)
    assert visible(tmp_path / "models") == []
    (status,) = downloads.read_all()
    assert status.state == "failed"
    assert status.error is not None
    assert 500_000 < status.done <= 1_000_000
    site.faults.clear()
    assert run(opened(), plan).read_bytes() == BIG
    assert starts(site, CDN)[-1] == status.done


def test_a_site_without_ranges_sends_all_of_it_again(
    site: Site, opened: Opened, plan: DownloadPlan
) -> None:
    site.has_ranges = False
    site.faults[CDN] = Fault(cut=1_000_000)
    assert run(opened(), plan).read_bytes() == BIG


def test_a_file_that_changed_meanwhile_is_not_joined_from_two(
    site: Site, opened: Opened, hubs: ModelHubs
) -> None:
    # The address states no digest: only the validator tells that it is another file.
    site.files["/x.safetensors"] = BIG
    plan = hubs.resolve(f"{site.plain}/x.safetensors")
    site.faults["/x.safetensors"] = Fault(cut=1_000_000)
    with pytest.raises(DownloadError):
        run(opened(retries=replace(QUICK, attempts=1)), plan)
    changed = BIG[:-2_500_000] + bytes(2_500_000)
    site.files["/x.safetensors"] = changed
    assert run(opened(), plan).read_bytes() == changed
    last = site.of("/x.safetensors")[-1]
    assert starts(site, "/x.safetensors")[-1] > 500_000
    assert last.headers["If-Range"] == f'"{hashlib.sha256(BIG).hexdigest()[:20]}"'


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_site_is_asked_again_after_the_pause_that_it_wants(
    site: Site, opened: Opened, plan: DownloadPlan, status: int
) -> None:
    site.faults[CDN] = Fault(status=status, headers={"Retry-After": "0"}, times=2)
    assert run(opened(), plan).read_bytes() == BIG
    assert len(site.of(CDN)) == 3
    assert QUICK.pause(1, None) < QUICK.pause(2, None)


def test_a_site_that_wants_a_long_pause_is_not_waited_for(
    site: Site, opened: Opened, plan: DownloadPlan
) -> None:
    site.faults[CDN] = Fault(status=429, headers={"Retry-After": "86400"}, times=-1)
    with pytest.raises(DownloadError, match="too many requests"):
        run(opened(), plan)
    assert len(site.of(CDN)) == 1


def test_a_site_that_stays_busy_is_given_up_with_words(
    site: Site, opened: Opened, plan: DownloadPlan
) -> None:
    site.faults[CDN] = Fault(status=503, times=-1)
    with pytest.raises(DownloadError, match=r"the source fails on ink\.safetensors"):
        run(opened(), plan)
    assert len(site.of(CDN)) == QUICK.attempts


@pytest.mark.parametrize(
    ("status", "words"), [(401, "needs a token"), (403, "is refused"), (404, "does not exist")]
)
def test_a_refusal_is_not_repeated(
    site: Site, opened: Opened, plan: DownloadPlan, status: int, words: str
) -> None:
    site.faults[CDN] = Fault(status=status, times=-1)
    with pytest.raises(DownloadError, match=words):
        run(opened(), plan)
    assert len(site.of(CDN)) == 1


def test_a_gated_model_needs_a_token_which_no_other_host_gets(
    site: Site, opened: Opened, hubs: ModelHubs, environment: dict[str, str], tmp_path: Path
) -> None:
    site.repositories["a/ink"] = {"ink.safetensors": BIG}
    site.gated.add("a/ink")
    plan = hubs.resolve("a/ink")
    assert plan.is_gated
    with pytest.raises(DownloadError, match=r"is gated.*Accept the license.*HF_TOKEN"):
        run(opened(), plan)
    assert not any("/resolve/" in request.path for request in site.requests)
    downloads = opened()
    id_ = downloads.add(plan).id
    with pytest.raises(DownloadError, match=r"access to ink\.safetensors is refused"):
        downloads.run(id_, token="wrong")
    known = ModelHubs(HostRules.parse(LOOPBACK), environment | {"HF_TOKEN": TOKEN})
    path = run(Downloads(tmp_path / "models", known, QUICK), plan)
    assert path.read_bytes() == BIG
    assert "Authorization" not in site.of(CDN)[-1].headers
    journals = "".join(
        file.read_text("utf-8", "replace") for file in (tmp_path / "models").rglob("*.json")
    )
    assert TOKEN not in journals


def test_another_digest_than_stated_shows_no_model(
    site: Site, opened: Opened, hubs: ModelHubs, tmp_path: Path
) -> None:
    site.repositories["a/ink"] = {"ink.safetensors": BIG}
    site.stated["ink.safetensors"] = "0" * 64
    with pytest.raises(DownloadError, match=r"does not match the digest.*expected: SHA-256 0000"):
        run(opened(), hubs.resolve("a/ink"))
    assert visible(tmp_path / "models") == []


def test_a_part_that_was_damaged_here_is_brought_again(
    site: Site, opened: Opened, plan: DownloadPlan, tmp_path: Path
) -> None:
    site.faults[CDN] = Fault(cut=1_000_000)
    with pytest.raises(DownloadError):
        run(opened(retries=replace(QUICK, attempts=1)), plan)
    (part,) = (tmp_path / "models/.downloads").rglob("*.part")
    with part.open("r+b") as file:
        file.seek(500)
        file.write(b"\0\0\0\0")
    assert run(opened(), plan).read_bytes() == BIG


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"<html>log in</html>", "text/html; charset=utf-8", "a web page instead of"),
        (b"<html>log in</html>", "", "not what its name says"),
        (b'{"error": "busy"}', "application/json", "not what its name says"),
        (b"PK\x03\x04" + b"x" * 90, "", "it is a pickle file"),
    ],
)
def test_something_else_than_weights_is_refused_at_its_first_bytes(
    site: Site, opened: Opened, tmp_path: Path, body: bytes, kind: str, words: str
) -> None:
    site.files["/x.safetensors"] = b""
    site.faults["/x.safetensors"] = Fault(body=body, headers={"Content-Type": kind}, times=-1)
    file = PlannedFile(f"{site.plain}/x.safetensors", "x.safetensors")
    with pytest.raises(NodegraphError, match=words):
        run(opened(), DownloadPlan("x", "checkpoints/x.safetensors", "checkpoint", (file,)))
    assert visible(tmp_path / "models") == []


def test_a_pickle_comes_only_by_choice(
    site: Site, opened: Opened, hubs: ModelHubs, tmp_path: Path
) -> None:
    site.files["/x.ckpt"] = b"PK\x03\x04" + b"x" * 1_000
    plan = hubs.resolve(f"{site.plain}/x.ckpt", Wanted(allow_pickle=True))
    with pytest.raises(UnsafeFile, match="--allow-pickle"):
        opened().add(replace(plan, allow_pickle=False))
    assert run(opened(), plan).read_bytes() == site.files["/x.ckpt"]


def test_another_size_than_stated_is_refused(
    site: Site, opened: Opened, plan: DownloadPlan
) -> None:
    site.faults[CDN] = Fault(body=BIG + b"more", times=-1)
    with pytest.raises(DownloadError, match="another size than its source states"):
        run(opened(), plan)


def test_a_disk_without_room_refuses_before_anything_comes(
    site: Site, opened: Opened, plan: DownloadPlan
) -> None:
    with pytest.raises(OutputError, match=r"no room.*given: .* free; expected: 3"):
        opened(room=lambda folder: 66 << 20).add(plan)
    assert site.of(CDN) == []
    assert opened().read_all() == []


def test_downloads_that_wait_keep_their_room(
    site: Site, opened: Opened, hubs: ModelHubs, plan: DownloadPlan
) -> None:
    downloads = opened(room=lambda folder: (64 << 20) + 4_000_000)
    downloads.add(plan)
    site.repositories["b/ink"] = {"other.safetensors": BIG}
    with pytest.raises(OutputError, match=r"other downloads need"):
        downloads.add(hubs.resolve("b/ink"))


def test_a_disk_that_gets_full_midway_keeps_the_part(
    site: Site, hubs: ModelHubs, plan: DownloadPlan, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 2 << 20) as disk:
        downloads = Downloads(disk / "models", hubs, QUICK, room=lambda folder: 1 << 40)
        status = downloads.add(plan)
        with pytest.raises(OutputError, match="the disk became full"):
            downloads.run(status.id)
        assert visible(disk / "models") == []
        assert downloads.get(status.id).done > 1_000_000


def test_two_at_once_bring_the_file_once(site: Site, opened: Opened, plan: DownloadPlan) -> None:
    gate = Event()
    site.faults[CDN] = Fault(gate=(1_000_000, gate))
    has_begun, results = Event(), []
    downloads = opened()
    id_ = downloads.add(plan).id
    thread = Thread(target=lambda: results.append(downloads.run(id_, lambda _: has_begun.set())))
    thread.start()
    try:
        assert has_begun.wait(60)
        other = opened()
        assert other.add(plan).state == "running"
        with pytest.raises(AlreadyRunning):
            other.run(id_)
        moved = replace(plan, source="b/other")
        with pytest.raises(InvalidValue, match="a download of another model"):
            other.add(moved)
    finally:
        gate.set()
        thread.join()
    assert results[0].read_bytes() == BIG
    assert len(site.of(CDN)) == 1


def test_a_download_is_paused_continued_and_cancelled_from_elsewhere(
    site: Site, opened: Opened, plan: DownloadPlan, tmp_path: Path
) -> None:
    gate = Event()
    site.faults[CDN] = Fault(gate=(1_000_000, gate))
    has_begun, errors = Event(), []
    downloads = opened()
    id_ = downloads.add(plan).id

    def work() -> None:
        try:
            downloads.run(id_, lambda _: has_begun.set())
        except Stopped as error:
            errors.append(error)

    thread = Thread(target=work)
    thread.start()
    assert has_begun.wait(60)
    other = opened()
    other.pause(id_)
    gate.set()
    thread.join()
    assert len(errors) == 1
    (status,) = other.read_all()
    assert status.state == "paused"
    assert other.pending() == []
    assert 0 < status.done < len(BIG)
    assert other.resume(id_).state == "queued"
    assert [each.id for each in other.pending()] == [id_]
    assert other.run(id_).read_bytes() == BIG
    assert starts(site, CDN)[-1] > 0
    other.cancel(id_)
    assert other.read_all() == []
    assert (tmp_path / "models/checkpoints/ink.safetensors").is_file()


def test_another_variant_takes_the_place_of_what_was_begun(
    site: Site, opened: Opened, hubs: ModelHubs, tmp_path: Path
) -> None:
    site.repositories["a/quants"] = {"m-Q4.gguf": b"GGUF", "m-Q8.gguf": b"GGUF" + bytes(9)}
    first, other = (
        replace(hubs.resolve("a/quants", Wanted(variant=name)), name="unet/m.gguf")
        for name in ("Q4", "Q8")
    )
    downloads = opened()
    id_ = downloads.add(first).id
    downloads.pause(id_)
    assert downloads.add(other).plan == other
    assert [status.plan for status in downloads.read_all()] == [other]


def test_a_cancelled_download_leaves_nothing(
    site: Site, opened: Opened, plan: DownloadPlan, tmp_path: Path
) -> None:
    site.faults[CDN] = Fault(cut=1_000_000)
    downloads = opened(retries=replace(QUICK, attempts=1))
    with pytest.raises(DownloadError):
        run(downloads, plan)
    downloads.cancel("checkpoints/ink.safetensors")
    assert downloads.read_all() == []
    assert not list((tmp_path / "models").rglob("*.part"))
    with pytest.raises(InvalidValue, match="no such download"):
        downloads.get("checkpoints/ink.safetensors")


def test_files_of_the_hubs_cache_are_linked_and_not_copied(
    site: Site, opened: Opened, hubs: ModelHubs, tmp_path: Path
) -> None:
    site.repositories["a/ink"] = {"ink.safetensors": BIG}
    snapshot = tmp_path / "hub_cache/models--a--ink/snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    blob = tmp_path / "hub_cache/models--a--ink/blobs" / hashlib.sha256(BIG).hexdigest()
    blob.parent.mkdir()
    blob.write_bytes(BIG)
    (snapshot / "ink.safetensors").symlink_to(os.path.relpath(blob, snapshot))
    plan = hubs.resolve("a/ink")
    assert plan.is_cached
    path = run(opened(), plan)
    assert path.samefile(blob)
    assert site.of(CDN) == []


@pytest.mark.parametrize("name", ["../up.safetensors", "/etc/x.safetensors", ".x/y.safetensors"])
def test_a_plan_that_leads_out_of_the_folder_is_refused(opened: Opened, name: str) -> None:
    file = PlannedFile("https://example.org/x", "x.safetensors")
    with pytest.raises(InvalidValue, match="cannot have this name"):
        opened().add(DownloadPlan("x", name, "checkpoint", (file,)))
    evil = replace(file, path=name)
    with pytest.raises(InvalidValue, match="cannot have this name"):
        opened().add(DownloadPlan("x", "checkpoints/x.safetensors", "checkpoint", (evil,)))


def test_a_journal_that_is_none_is_left_alone(opened: Opened, plan: DownloadPlan) -> None:
    downloads = opened()
    id_ = downloads.add(plan).id
    journal = downloads.folder / ".downloads" / f"{id_}.json"
    for text in ("", "[]", "{}", json.dumps({"plan": 3})):
        journal.write_text(text)
        assert downloads.read_all() == []
    assert run(downloads, plan).read_bytes() == BIG
