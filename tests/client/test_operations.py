"""Whatever the server can be asked, clients of both kinds can ask."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from nodegraph.client import AsyncClient, Client, OutputFile, Upload
from nodegraph.errors import NodegraphError
from nodegraph.server.http.app import create_app
from nodegraph.server.services import Services
from nodegraph.server.settings import ServerSettings
from nodegraph.session.settings import Settings
from tests.client.support import ONCE, answering, either_client, problem
from tests.server.hosting import workflow

API = "/api/v1"
DIGEST = "ab" * 32
FILE = OutputFile("a.png", "save", "image", "image/png", 3, DIGEST)
UPLOAD = Upload(DIGEST, "a.png", "image/png", 3, f"upload:{DIGEST}/a.png")


@dataclass(frozen=True)
class Asked:
    """How a client is asked for something."""

    method: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]

    def of(self, client: Any, folder: Path) -> None:
        """Ask it; what it answers doesn't matter."""
        for name in self.method.split("."):
            client = getattr(client, name)
        arguments = [folder / "file" if each is Path else each for each in self.arguments]
        with suppress(NodegraphError):
            found = client(*arguments, **self.options)
            if inspect.isgenerator(found):
                list(found)


def asked(method: str, *arguments: Any, **options: Any) -> Asked:
    return Asked(method, arguments, options)


CALLS = {
    "submit_job": asked("submit", workflow()),
    "list_jobs": asked("list", state="failed"),
    "delete_jobs": asked("delete_all", state="failed"),
    "get_job": asked("get", "job_x"),
    "change_job": asked("prioritise", "job_x", 3),
    "delete_job": asked("delete", "job_x"),
    "get_job_workflow": asked("workflow", "job_x"),
    "cancel_job": asked("cancel", "job_x"),
    "retry_job": asked("retry", "job_x"),
    "hold_job": asked("hold", "job_x"),
    "unhold_job": asked("unhold", "job_x"),
    "move_job": asked("move", "job_x", "first"),
    "submit_job_rows": asked("submit_rows", workflow(), "b\n1\n"),
    "get_job_events": asked("watch", "job_x"),
    "get_events": asked("watch"),
    "get_queue": asked("queue.get"),
    "pause_queue": asked("queue.pause"),
    "resume_queue": asked("queue.resume"),
    "clear_queue": asked("queue.clear", tag="a"),
    "validate_workflow": asked("validate", workflow()),
    "plan_workflow": asked("plan", workflow()),
    "import_workflow": asked("import_comfyui", {"1": {"class_type": "A", "inputs": {}}}),
    "write_script": asked("script", workflow()),
    "compare_workflows": asked("compare", workflow(), workflow()),
    "merge_workflows": asked("merge", workflow(), workflow(), workflow()),
    "list_workflows": asked("workflows.list", "sum"),
    "get_workflow": asked("workflows.get", "sum"),
    "put_workflow": asked("workflows.save", "sum", workflow()),
    "delete_workflow": asked("workflows.delete", "sum"),
    "list_versions": asked("workflows.versions", "sum"),
    "get_version": asked("workflows.get", "sum", 3),
    "list_templates": asked("templates.list"),
    "get_template": asked("templates.get", "text_to_image"),
    "get_template_picture": asked("templates.picture", "text_to_image"),
    "get_template_lesson": asked("templates.lesson", "text_to_image"),
    "get_template_file": asked("templates.file", "image_to_image", "apple.png"),
    "list_apps": asked("apps.list"),
    "get_app": asked("apps.get", "sum"),
    "run_app": asked("apps.run", "sum", {"b": 3}),
    "list_artifacts": asked("artifacts", job="job_x"),
    "delete_artifact": asked("delete_artifact", FILE, job="job_x"),
    "get_artifact": asked("download", FILE, Path),
    "get_artifact_thumbnail": asked("thumbnail", FILE, 64),
    "get_artifact_credentials": asked("credentials", FILE),
    "get_signed_artifact": asked("signed", FILE),
    "get_artifact_texts": asked("texts", FILE),
    "get_lineage": asked("lineage", FILE),
    "change_library": asked("library.change", FILE, stars=3),
    "trash_results": asked("library.trash", [FILE]),
    "restore_results": asked("library.restore", FILE.digest),
    "delete_trash": asked("library.empty_trash"),
    "list_tags": asked("library.tags"),
    "list_boards": asked("library.boards"),
    "add_board": asked("library.add_board", "Covers"),
    "rename_board": asked("library.rename_board", "board_1f8a0c2e", "Best"),
    "delete_board": asked("library.delete_board", "board_1f8a0c2e"),
    "make_grid": asked("library.grid", [[FILE, None]], title="cats"),
    "upload_frame": asked("library.frame", FILE, index=3),
    "upload_file": asked("upload", b"data", "a.png"),
    "upload_artifact": asked("upload_output", FILE),
    "list_uploads": asked("uploads"),
    "get_upload": asked("download", UPLOAD, Path),
    "list_inputs": asked("inputs"),
    "delete_upload": asked("delete_upload", UPLOAD),
    "get_upload_thumbnail": asked("thumbnail", UPLOAD, 64),
    "get_upload_credentials": asked("credentials", UPLOAD),
    "get_upload_texts": asked("texts", UPLOAD),
    "list_node_types": asked("node_types"),
    "get_node_type": asked("node_type", "sums:Sum"),
    "list_models": asked("models"),
    "get_model_thumbnail": asked("model_thumbnail", "sd/a.safetensors", 64),
    "change_model_record": asked("change_model_record", "sd/a.safetensors", stars=3),
    "move_listed_model": asked("move_model", "sd/a.safetensors", "sd/b.safetensors"),
    "remove_listed_model": asked("remove_model", "sd/a.safetensors"),
    "change_model_picture": asked("change_model_picture", "sd/a.safetensors", b"image"),
    "remove_model_picture": asked("remove_model_picture", "sd/a.safetensors"),
    "check_model": asked("verify_model", "sd/a.safetensors"),
    "get_model_uses": asked("model_uses", "sd/a.safetensors"),
    "lookup_model": asked("lookup_model", "sd/a.safetensors"),
    "get_model_update": asked("model_update", "sd/a.safetensors"),
    "list_links": asked("model_links"),
    "add_link": asked("link_models", "/srv/ComfyUI"),
    "delete_link": asked("unlink_models", "/srv/ComfyUI/models"),
    "list_starter_models": asked("model_downloads.starter"),
    "list_missing_models": asked("model_downloads.missing", workflow()),
    "get_model_record": asked("model_record", "sd/a.safetensors"),
    "search_models": asked("model_downloads.search", "ink", kind="lora"),
    "list_downloads": asked("model_downloads.list"),
    "plan_download": asked("model_downloads.plan", "a/ink", variant="fp16"),
    "start_download": asked("model_downloads.start", "a/ink"),
    "pause_download": asked("model_downloads.pause", "4f1a9a0b6e21c7d3"),
    "resume_download": asked("model_downloads.resume", "4f1a9a0b6e21c7d3"),
    "cancel_download": asked("model_downloads.cancel", "4f1a9a0b6e21c7d3"),
    "list_sources": asked("sources", models=["a", "b"], packs=["c"]),
    "list_schedules": asked("schedules.list"),
    "add_schedule": asked("schedules.add", "daily 02:00", workflow(), seeds="same"),
    "get_schedule": asked("schedules.get", "sch_x"),
    "pause_schedule": asked("schedules.pause", "sch_x"),
    "resume_schedule": asked("schedules.resume", "sch_x"),
    "run_schedule": asked("schedules.run", "sch_x"),
    "delete_schedule": asked("schedules.remove", "sch_x"),
    "list_deliveries": asked("webhooks.list", state="failed"),
    "get_delivery": asked("webhooks.get", "job_x-1"),
    "replay_delivery": asked("webhooks.replay", "job_x-1"),
    "test_webhook": asked("webhooks.test", "https://example.org/"),
    "rotate_webhook_secret": asked("webhooks.new_secret", hours=3),
    "get_system": asked("system"),
    "refresh": asked("refresh"),
    "list_secrets": asked("secrets.list"),
    "set_secret": asked("secrets.set", "openai", "sk-value", ["api.openai.com"]),
    "remove_secret": asked("secrets.remove", "openai"),
    "list_packs": asked("packs.list"),
    "list_available_packs": asked("packs.available", "blur", node_types=["a:B"], names=["c"]),
    "install_pack": asked("packs.install", "blur_tools", ">=1"),
    "update_pack": asked("packs.update", "blur_tools"),
    "rollback_pack": asked("packs.rollback", "blur_tools"),
    "enable_pack": asked("packs.enable", "blur_tools"),
    "disable_pack": asked("packs.disable", "blur_tools"),
    "remove_pack": asked("packs.remove", "blur_tools"),
    "get_settings": asked("settings.get"),
    "change_settings": asked("settings.change", retention={"count": 3}),
}
NO_CALLS = {
    "get_app_job": "a page for browsers; what it shows, `get` tells",
    "healthz": "for what restarts servers; `system` tells more",
    "readyz": "for what leads clients to servers; `system` tells more",
    "get_metrics": "for monitoring, in a format of its own",
    "get_node_type_example": "for the help of editors; `nodegraph new --example` writes it",
    "list_compact_node_types": "for the editor; this one reads all of each type",
    "list_node_type_help": "for the same",
    "list_node_type_names": "for the same; workflows have the English names",
    "list_node_type_summaries": "for clients of other kinds; this one reads all of them, packed",
    "get_node_type_picture": "for the help of editors; it lies in the pack",
    "get_node_type_example_file": "for editors that open an example; it lies in the pack",
    "bring_node_type_example_folders": "for the same; `nodegraph new --example` brings them, too",
    "get_model_words": "for editors that complete prompts",
    "delete_tag_list": "for editors that complete prompts; people keep these lists there",
    "get_styles": "for the same",
    "get_tag_list": "for the same",
    "import_styles": "for the same",
    "list_tag_lists": "for the same",
    "put_styles": "for the same",
    "put_tag_list": "for the same",
    "get_input": "for previews of editors; a program reads the folder itself, or a workflow does",
    "get_input_thumbnail": "for the same",
    "get_description": "for whoever makes a client of another kind",
}
"""Operations that programs have no use for, and why."""
OF_SEVERAL = {"wait", "pull"}
"""Methods that put together what others ask for."""


@lru_cache(maxsize=1)
def operations() -> dict[str, tuple[str, re.Pattern[str]]]:
    """Method and path of everything that the server's description lists, by its name."""
    with TemporaryDirectory() as home:
        services = Services(Settings(home=Path(home)), ServerSettings(), has_workers=False)
        document = create_app(services).openapi()
    return {
        operation["operationId"]: (method.upper(), re.compile(re.sub(r"{\w+}", "[^/]+", path)))
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def test_each_operation_has_a_method_or_a_reason_for_having_none() -> None:
    assert set(operations()) == CALLS.keys() | NO_CALLS.keys()
    assert not CALLS.keys() & NO_CALLS.keys()
    assert all(NO_CALLS.values())


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        *(("async", operation) for operation in CALLS),
        # The blocking methods are made of these: one for each way to speak to the network.
        *(
            ("sync", operation)
            for operation in ("get_job", "submit_job", "list_jobs", "upload_file", "get_artifact")
        ),
        *(("sync", operation) for operation in ("get_events", "run_app", "delete_upload")),
    ],
)
def test_the_method_asks_for_the_operation(kind: str, operation: str, tmp_path: Path) -> None:
    method, path = operations()[operation]
    with (
        answering(problem(418, "something")) as server,
        either_client(kind, server.url, retries=ONCE) as client,
    ):
        CALLS[operation].of(client, tmp_path)
        sent = [
            (asked, target.partition("?")[0])
            for asked, target, headers in server.seen
            if "upgrade" not in headers
        ]
    assert len(sent) == 1
    assert sent[0][0] == method
    assert path.fullmatch(sent[0][1]), sent


def methods(client: Any) -> Iterator[tuple[str, Any]]:
    """The methods of a client and its parts, by their names."""
    for name, found in inspect.getmembers(client):
        if name.startswith("_") or isinstance(found, str):
            continue
        if inspect.ismethod(found):
            yield name, found
        else:
            yield from ((f"{name}.{inner}", method) for inner, method in methods(found))


def parameters(method: Any) -> list[tuple[str, Any, Any, Any]]:
    found = inspect.signature(method).parameters.values()
    return [(each.name, each.kind, each.default, each.annotation) for each in found]


def test_every_method_asks_for_something_and_both_kinds_have_it() -> None:
    with either_client("sync", "http://127.0.0.1:9") as client:
        blocking = dict(methods(client))
    with either_client("async", "http://127.0.0.1:9") as client:
        awaited = dict(methods(client._target))
    assert blocking.keys() == awaited.keys()
    assert blocking.keys() - {"close"} == {call.method for call in CALLS.values()} | OF_SEVERAL
    for name, method in blocking.items():
        assert parameters(method) == parameters(awaited[name]), name
        assert method.__doc__, name


def test_both_kinds_are_made_of_the_same() -> None:
    assert parameters(Client.__init__) == parameters(AsyncClient.__init__)
