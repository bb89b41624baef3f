"""`nodegraph backup` and `nodegraph restore`: what is in a backup, and what comes of it."""

from __future__ import annotations

import json
import os
import threading
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from nodegraph.jobs.queue import JobQueue, QueueReader
from nodegraph.server.access.tokens import TokenFile
from nodegraph.server.content.artifacts import ArtifactFilter, Artifacts
from nodegraph.server.content.artifacts.annotations import open_library
from nodegraph.server.content.artifacts.thumbnails import Thumbnails
from nodegraph.server.content.saved import SavedWorkflows
from nodegraph.server.content.uploads import Uploads
from nodegraph.server.operations.backup import backup, restore
from nodegraph.server.services import Services
from nodegraph.server.settings import ServerSettings
from nodegraph.session.settings import Settings
from tests.cli.conftest import Cli
from tests.cli.homes import filled, jobs, tree
from tests.client.support import until
from tests.jobs.queue.support import claim
from tests.server.hosting import hosted, prepared_home
from tests.server.hosting import workflow as sum_workflow

DERIVED = ("cache/", "models/", "tokens.json")


def names(archive: Path) -> set[str]:
    with zipfile.ZipFile(archive) as found:
        return set(found.namelist())


def lasting(home: Path) -> dict[str, str]:
    """What of a home folder is in a backup without options."""
    return {name: digest for name, digest in tree(home).items() if not name.startswith(DERIVED)}


def test_a_home_folder_comes_back_as_it_was(cli: Cli, tmp_path: Path) -> None:
    home = filled(tmp_path / "home")
    done = cli("--home", home, "backup", "b.zip")
    assert done.code == 0, done.err
    assert "2 jobs" in done.out
    other = tmp_path / "other"
    done = cli("--home", other, "restore", "b.zip")
    assert done.code == 0, done.err
    assert lasting(other) == lasting(home)
    assert "packs/one.py" in lasting(home)
    assert [job[:2] for job in jobs(other)] == [("done", "finished"), ("first", "queued")]
    assert [version.number for version in SavedWorkflows(other / "workflows").versions("kept")] == [
        2,
        1,
    ]


def test_times_and_permissions_come_back(cli: Cli, tmp_path: Path) -> None:
    home = filled(tmp_path / "home")
    notes = home / "inputs" / "notes.txt"
    os.utime(notes, ns=(5, 1_600_000_000_123_456_789))
    notes.chmod(0o640)
    assert cli("--home", home, "backup", "b.zip").code == 0
    assert cli("--home", tmp_path / "other", "restore", "b.zip").code == 0
    status = (tmp_path / "other" / "inputs" / "notes.txt").stat()
    assert status.st_mtime_ns == 1_600_000_000_123_456_789
    assert status.st_mode & 0o777 == 0o640


def test_tokens_and_models_are_in_it_only_on_request(cli: Cli, tmp_path: Path) -> None:
    home = filled(tmp_path / "home")
    assert cli("--home", home, "backup", "plain.zip").code == 0
    assert not {"tokens.json", "models/big.safetensors"} & names(Path("plain.zip"))
    assert "outputs/day/first.png" in names(Path("plain.zip"))
    done = cli(
        "--home", home, "backup", "all.zip", "--with-tokens", "--with-models", "--without-outputs"
    )
    assert done.code == 0
    assert {"tokens.json", "models/big.safetensors"} < names(Path("all.zip"))
    assert not [name for name in names(Path("all.zip")) if name.startswith("outputs")]
    assert not [name for name in names(Path("all.zip")) if name.startswith("cache")]
    assert cli("--home", tmp_path / "other", "restore", "all.zip").code == 0
    (token,) = TokenFile(tmp_path / "other" / "tokens.json").read()
    assert token.name == "first"
    assert (tmp_path / "other" / "tokens.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("queue", "is_in"),
    [
        ("postgresql://ann@db.example/jobs", True),
        ("postgresql://ann:secret@db.example/jobs", False),
        ("postgresql://ann@db.example/jobs?password=secret", False),
    ],
)
def test_a_config_file_with_a_password_is_in_it_only_with_the_tokens(
    cli: Cli, tmp_path: Path, queue: str, is_in: bool
) -> None:
    home = filled(tmp_path / "home")
    config = home / "config.toml"
    config.write_text(f'[server]\nqueue = "{queue}"\n')
    done = cli("--home", home, "backup", "b.zip")
    assert done.code == 0, done.err
    assert ("config.toml" in names(Path("b.zip"))) is is_in
    assert ("--with-tokens" in done.err) is not is_in
    assert cli("--home", home, "restore", "b.zip", "--force").code == 0
    assert queue in config.read_text()
    assert cli("--home", home, "backup", "b.zip", "--with-tokens").code == 0
    assert "config.toml" in names(Path("b.zip"))


def test_only_its_owner_may_read_it(cli: Cli, tmp_path: Path) -> None:
    home = filled(tmp_path / "home")
    assert cli("--home", home, "backup", "b.zip").code == 0
    assert Path("b.zip").stat().st_mode & 0o777 == 0o600


def test_what_the_backup_doesnt_hold_stays(cli: Cli, tmp_path: Path) -> None:
    home = filled(tmp_path / "home")
    assert cli("--home", home, "backup", "b.zip").code == 0
    before = tree(home)
    (home / "outputs" / "later.png").write_bytes(b"later")
    (home / "inputs" / "notes.txt").write_text("changed")
    (home / "own.txt").write_text("the user's own")
    done = cli("--home", home, "restore", "b.zip", "--force")
    assert done.code == 0, done.err
    after = tree(home)
    assert after.pop("own.txt")
    assert after == before


def test_a_folder_that_isnt_empty_is_left_alone_without_force(cli: Cli, tmp_path: Path) -> None:
    home = filled(tmp_path / "home")
    assert cli("--home", home, "backup", "b.zip").code == 0
    other = filled(tmp_path / "other", name="second")
    before, waiting = tree(other), jobs(other)
    refused = cli("--home", other, "restore", "b.zip")
    assert refused.code == 2
    assert "is not empty" in refused.err
    assert "--force" in refused.err
    assert (tree(other), jobs(other)) == (before, waiting)
    assert cli("--home", other, "restore", "b.zip", "--force").code == 0
    assert [job[0] for job in jobs(other)] == ["done", "first"]
    # Nothing of what was there is left over.
    assert not [name for name in tree(other) if "second" in name]


@pytest.mark.parametrize("there", ["cache/specs/a.json", "lost+found/x", "tokens.json-lock"])
def test_a_folder_with_nothing_of_its_own_counts_as_empty(
    cli: Cli, tmp_path: Path, there: str
) -> None:
    home, other = filled(tmp_path / "home"), tmp_path / "other"
    assert cli("--home", home, "backup", "b.zip").code == 0
    (other / there).parent.mkdir(parents=True)
    (other / there).write_text("")
    assert cli("--home", other, "restore", "b.zip").code == 0
    assert (other / there).exists()


def test_in_another_folder_jobs_find_their_files(cli: Cli, tmp_path: Path) -> None:
    home = filled(tmp_path / "home")
    assert cli("--home", home, "backup", "b.zip").code == 0
    other = tmp_path / "ôther place"
    home.rename(tmp_path / "gone")
    assert cli("--home", other, "restore", "b.zip").code == 0
    thumbnails = Thumbnails(other / "cache" / "thumbnails", pixels=1_000_000)
    with JobQueue(other / "queue.sqlite", synced=False) as queue:
        with closing(
            Artifacts(
                other / "artifacts.sqlite",
                queue,
                [other / "outputs"],
                thumbnails,
                open_library(other / "library.sqlite"),
            )
        ) as artifacts:
            (artifact,) = artifacts.page(ArtifactFilter()).artifacts
            with artifacts.open(artifact).file as file:
                assert file.read(4) == b"\x89PNG"
        with closing(Uploads(other / "uploads", queue)) as uploads:
            (upload,) = uploads.page(None).uploads
            job = claim(queue)
            read = json.loads(queue.workflow(job.workflow))["nodes"]["load"]["inputs"]["image"]
            assert read == job.parameters["also"] == str(uploads.path(upload))
            assert Path(read).exists()


def test_numbers_of_events_that_somebody_knows_are_not_given_again(
    cli: Cli, tmp_path: Path
) -> None:
    home = filled(tmp_path / "home")
    assert cli("--home", home, "backup", "b.zip").code == 0
    with JobQueue(home / "queue.sqlite", synced=False) as queue:
        for _ in range(30):
            job = claim(queue)
            queue.release(job.id, job.attempt).result()
        known = queue.newest_event()
    assert cli("--home", home, "restore", "b.zip", "--force").code == 0
    with JobQueue(home / "queue.sqlite", synced=False) as queue:
        claim(queue)
        assert queue.newest_event() > known


def test_a_server_that_runs_is_packed_with_all_it_has_promised(
    tmp_path: Path, known_specs: Path
) -> None:
    folder = prepared_home(tmp_path / "home", known_specs.parents[1])
    accepted: list[str] = []
    with hosted(folder) as server:
        stop = threading.Event()

        def submit() -> None:
            while not stop.is_set():
                answer = server.client.post("/jobs", json={"workflow": sum_workflow()})
                accepted.append(answer.json()["id"])

        thread = threading.Thread(target=submit)
        thread.start()
        try:
            until(lambda: len(accepted) >= 20)
            before = list(accepted)
            found = backup(Settings(home=folder), tmp_path / "b.zip")
            after = list(accepted)
        finally:
            stop.set()
            thread.join()
        assert server.client.get(f"{server.url}/readyz").status_code == 200
    assert len(before) <= found.jobs <= len(after) + 1
    restore(Settings(home=tmp_path / "other"), tmp_path / "b.zip")
    with QueueReader(tmp_path / "other" / "queue.sqlite") as queue:
        kept = [job.id for job in queue.page(order="oldest", limit=1_000).jobs]
    assert kept[: len(before)] == before
    assert kept == accepted[: len(kept)]


def test_nobody_restores_a_folder_in_which_a_server_runs(
    tmp_path: Path, known_specs: Path, cli: Cli
) -> None:
    folder = prepared_home(tmp_path / "home", known_specs.parents[1])
    with hosted(folder) as server:
        assert cli("--home", folder, "backup", "b.zip").code == 0
        refused = cli("--home", folder, "restore", "b.zip", "--force")
        assert refused.code == 2
        assert "in use" in refused.err
        assert server.client.post("/jobs", json={"workflow": sum_workflow()}).status_code == 202


def test_a_restored_folder_is_served(tmp_path: Path, known_specs: Path, cli: Cli) -> None:
    folder = prepared_home(tmp_path / "home", known_specs.parents[1])
    with hosted(folder) as server:
        made = server.client.post("/jobs", json={"workflow": sum_workflow()}).json()["id"]
        server.client.put("/workflows/sums", json=sum_workflow())
    assert cli("--home", folder, "backup", "b.zip").code == 0
    other = tmp_path / "other"
    assert cli("--home", other, "restore", "b.zip").code == 0
    with hosted(other) as server:
        assert server.client.get(f"/jobs/{made}").json()["state"] == "queued"
        assert server.client.get("/workflows/sums").status_code == 200


def test_files_that_are_gone_or_changed_are_told_of(cli: Cli, tmp_path: Path) -> None:
    home = filled(tmp_path / "home")
    (home / "outputs" / "day" / "first.png").write_bytes(b"changed")
    (upload,) = (home / "uploads" / "files").iterdir()
    upload.unlink()
    done = cli("--home", home, "backup", "b.zip", "--json")
    assert done.code == 0
    assert set(done.json["missing"]) == {"outputs/day/first.png", f"uploads/files/{upload.name}"}
    assert "missing or changed" in cli("--home", home, "backup", "b.zip").err
    done = cli("--home", home, "backup", "b.zip", "--json", "--without-outputs")
    assert done.json["missing"] == [f"uploads/files/{upload.name}"]


def test_links_and_what_lies_elsewhere_are_told_of(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, away = filled(tmp_path / "home"), tmp_path / "away"
    away.mkdir()
    (away / "secret.txt").write_text("not yours")
    (home / "outputs" / "link.txt").symlink_to(away / "secret.txt")
    (home / "inputs" / "folder").symlink_to(away)
    os.mkfifo(home / "inputs" / "pipe")
    monkeypatch.setenv("NODEGRAPH_MODELS", str(away))
    done = cli("--home", home, "backup", "b.zip", "--json", "--with-models")
    assert done.code == 0
    left_out = {"outputs/link.txt", "inputs/folder", "inputs/pipe"}
    assert set(done.json["left_out"]) == left_out
    assert done.json["elsewhere"] == [str(away)]
    assert not {name for name in names(Path("b.zip")) if "secret" in name}


def test_a_link_at_the_top_is_followed_and_not_replaced(cli: Cli, tmp_path: Path) -> None:
    home, disk = filled(tmp_path / "home"), tmp_path / "disk"
    (home / "outputs").rename(disk)
    (home / "outputs").symlink_to(disk)
    assert cli("--home", home, "backup", "b.zip").code == 0
    assert "outputs/day/first.png" in names(Path("b.zip"))
    refused = cli("--home", home, "restore", "b.zip", "--force")
    assert refused.code != 0
    assert "is a link" in refused.err
    assert (home / "outputs").is_symlink()


def test_a_home_folder_that_was_never_used_makes_an_empty_backup(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    assert cli("--home", tmp_path / "home", "backup", "b.zip").code == 0
    done = cli("--home", tmp_path / "other", "restore", "b.zip", "--json")
    assert done.code == 0
    assert (done.json["files"], done.json["jobs"]) == (0, 0)


def test_an_earlier_backup_is_replaced_by_a_whole_one_or_not_at_all(
    cli: Cli, tmp_path: Path
) -> None:
    home = filled(tmp_path / "home")
    assert cli("--home", home, "backup", "b.zip").code == 0
    before = Path("b.zip").read_bytes()
    (home / "queue.sqlite").write_bytes(b"no database" * 1000)
    refused = cli("--home", home, "backup", "b.zip")
    assert refused.code == 2
    assert "damaged" in refused.err
    assert Path("b.zip").read_bytes() == before
    assert [path.name for path in Path().iterdir() if path.name.startswith(".b.zip")] == []


def test_a_place_that_cant_be_written_is_told(cli: Cli, tmp_path: Path) -> None:
    home = filled(tmp_path / "home")
    refused = cli("--home", home, "backup", "nowhere/b.zip")
    assert refused.code != 0
    assert "Make the folder" in refused.err
    (tmp_path / "folder").mkdir()
    assert "is a folder" in cli("--home", home, "backup", tmp_path / "folder").err


def test_a_backup_can_be_looked_at(cli: Cli, tmp_path: Path) -> None:
    home = filled(tmp_path / "home")
    assert cli("--home", home, "backup", "b.zip").code == 0
    done = cli("restore", "b.zip", "--check")
    assert done.code == 0
    assert "is complete" in done.out
    found = cli("restore", "b.zip", "--check", "--json").json
    assert (found["jobs"], found["home"]) == (2, str(home))


def test_settings_outside_of_the_home_folder_come_back_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = filled(tmp_path / "home")
    backup(Settings(home=home), tmp_path / "b.zip")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    settings = Settings()
    restore(settings, tmp_path / "b.zip")
    assert (tmp_path / "config" / "nodegraph" / "config.toml").read_text() == (
        home / "config.toml"
    ).read_text()
    assert not (settings.data_folder / "config.toml").exists()
    backup(settings, tmp_path / "again.zip")
    assert "config.toml" in names(tmp_path / "again.zip")


def test_a_server_takes_up_a_restore_that_was_interrupted(tmp_path: Path) -> None:
    from nodegraph.server.operations.backup.restorer import NEW, PLAN, staging

    home = filled(tmp_path / "home")
    staged = staging(home)
    (staged / NEW / "inputs").mkdir()
    (staged / NEW / "inputs" / "notes.txt").write_text("restored")
    (staged / PLAN).write_text(json.dumps({"gone": ["inputs"], "outside": {}}))
    Services(Settings(home=home), ServerSettings())  # not decided: it goes
    assert not staged.exists()
    assert (home / "inputs" / "notes.txt").read_text() == "notes of first"
    staged = staging(home)
    (staged / NEW / "inputs").mkdir()
    (staged / NEW / "inputs" / "notes.txt").write_text("restored")
    (staged / PLAN).write_text(json.dumps({"gone": ["inputs"], "outside": {}}))
    staged.rename(home / ".restore")  # decided
    Services(Settings(home=home), ServerSettings())
    assert (home / "inputs" / "notes.txt").read_text() == "restored"
    assert not list(home.glob(".restore*"))
