"""Routes that check, plan, import or export a workflow; nothing is stored.

Hints where to get what a plan reports as missing contact no other site: the home of the few models
listed here is known; for all others, a hint names where to search.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from nodegraph.client import shapes
from nodegraph.client.shapes import Source, SourceLink
from nodegraph.client.shapes.schema import Finding
from nodegraph.core.weight_files import without_ending
from nodegraph.families.identification import supported
from nodegraph.jobs.supervisor.errors import QuestionFailed
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.errors import Refused, TooLarge
from nodegraph.server.http.limits.body import JsonGauge
from nodegraph.server.http.problems import limit_problems, responses
from nodegraph.server.http.request_bodies import JsonRoute
from nodegraph.server.http.responses import json_response
from nodegraph.server.services import Services
from nodegraph.server.settings import BodyLimits
from nodegraph.server.workflows.checks import parse_workflow
from nodegraph.server.workflows.job_requests import (
    PlanWish,
    WorkflowWish,
    plan_request,
    validate_request,
)

router = APIRouter(tags=["workflows"], route_class=JsonRoute)

_PROBLEMS = TypeAdapter(tuple[Finding, ...])
_SECONDS = 60.0
_MOST_TEXTS = 16
_COMFYUI_EXAMPLE = {
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "dreamshaper_8.ckpt"}},
    "5": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red apple", "clip": ["4", 1]}},
}


class NotTranslated(Refused):
    """The document is not of a known tool, is damaged, or is too complex."""

    code = "not-translated"
    status = 422


class ImportWish(BaseModel):
    """A ComfyUI workflow, or the metadata of an image or video with the settings of a tool."""

    model_config = ConfigDict(extra="forbid")

    document: dict[str, Any] | None = Field(
        default=None,
        description="Content of the file: the API format, or the UI format of version 0.4 or 1.0.",
        examples=[_COMFYUI_EXAMPLE],
    )
    texts: Annotated[dict[str, str], Field(max_length=_MOST_TEXTS)] | None = Field(
        default=None,
        description="Metadata by name: `workflow` and `prompt` of ComfyUI; `parameters` of A1111, "
        "Forge, Civitai, Fooocus and SwarmUI; `invokeai_metadata`; `Comment` and `Description` of "
        "NovelAI; `xmp` of Draw Things.",
        examples=[{"prompt": '{"4": {"class_type": "EmptyLatentImage", "inputs": {}}}'}],
    )

    @model_validator(mode="after")
    def _is_one(self) -> ImportWish:
        if (self.document is None) == (self.texts is None):
            raise ValueError("either `document` or `texts` is needed")
        return self


@router.post(
    "/import",
    summary="Import a workflow or an image's settings from another tool",
    responses=responses(400, 401, 403, 413, 415, 422, 503),
)
async def import_workflow(
    services: TheServices, caller: MayRead, body: ImportWish
) -> shapes.Translated:
    """Translate a ComfyUI workflow, or build one from the settings in an image of another tool.

    Nodes that cannot be translated become placeholders. Settings without a counterpart are listed
    in the report. The planner process translates it, because packs can define how their nodes are
    translated.
    """
    limits = services.server.limits
    _check_nodes(body.document or {}, limits.nodes)
    for text in (body.texts or {}).values():
        await services.run_in_thread(_check_text, text, limits)
    arguments = body.model_dump(exclude_none=True)
    try:
        answer = await services.supervisor.ask("import", arguments, _SECONDS)
    except QuestionFailed as error:
        problem = error.problem
        raise NotTranslated(problem.message, given=problem.given, hint=problem.hint) from error
    await services.run_in_thread(parse_workflow, answer["workflow"], limits.nodes)
    return _translated(services, answer["workflow"], answer["report"])


def _check_text(text: str, limits: BodyLimits) -> None:
    """Check the JSON inside a text, which the gate before the routes does not see."""
    if not text.lstrip().startswith(("{", "[")):
        return  # a prompt may have any number of brackets
    gauge = JsonGauge(limits.json_depth, limits.json_values)
    gauge.feed(text.encode("utf-8", "surrogatepass"))


def _check_nodes(document: Mapping[str, Any], most: int) -> None:
    nodes = document.get("nodes")
    count = len(nodes) if isinstance(nodes, list) else len(document)
    if count > most:
        raise TooLarge("the workflow has too many nodes", expected=f"at most {most}")


def _translated(
    services: Services, workflow: Mapping[str, Any], report: Mapping[str, Any]
) -> shapes.Translated:
    problems = _PROBLEMS.validate_python(report["problems"])
    return shapes.Translated(
        workflow,
        report["format"],
        report["nodes"],
        tuple(
            shapes.UntranslatedNode(**{**each, "stand_ins": tuple(each["stand_ins"])})
            for each in report["placeholders"]
        ),
        tuple(shapes.NeededModel(**each) for each in report["missing_models"]),
        tuple(report["missing_files"]),
        tuple(report["unknown_families"]),
        tuple(shapes.Difference(**each) for each in report["told"]),
        tuple(map(services.places.redact_problem, limit_problems(problems))),
    )


_EXAMPLE = {
    "format": "nodegraph/1",
    "nodes": {"load": {"type": "LoadModel", "inputs": {"model": "tiny"}}},
}


class ScriptWish(BaseModel):
    """The workflow that the script builds."""

    model_config = ConfigDict(extra="forbid")

    workflow: Annotated[
        dict[str, Any], Field(description="The content of a workflow file.", examples=[_EXAMPLE])
    ]


class PythonScript(BaseModel):
    """A Python script."""

    text: Annotated[str, Field(examples=["from nodegraph import Graph\n\ng = Graph()\n"])]


@router.post(
    "/script",
    summary="Write a workflow as a Python script",
    responses=responses(400, 401, 403, 413, 415, 422, 503),
)
async def write_script(services: TheServices, caller: MayRead, body: ScriptWish) -> PythonScript:
    """Return the script that builds exactly this workflow, like `nodegraph export --python`.

    The workflow may be incomplete or not executable.
    """
    await services.run_in_thread(parse_workflow, body.workflow, services.server.limits.nodes)
    arguments = {"workflow": body.workflow}
    return PythonScript(text=await services.supervisor.ask("script", arguments, _SECONDS))


@router.post(
    "/validate",
    summary="Check a workflow",
    response_model_exclude_none=True,
    responses=responses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def validate_workflow(
    services: TheServices, caller: MayRead, body: WorkflowWish
) -> shapes.Checked:
    """Return all problems of a workflow and of its parameter values at once.

    The status is 200 for invalid workflows, too.
    """
    return await validate_request(services, caller, body)


@router.post(
    "/plan",
    summary="Plan a workflow",
    response_model=shapes.Plan,
    responses=responses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def plan_workflow(services: TheServices, caller: MayRead, body: PlanWish) -> Response:
    """Return what a run would do, node by node, with its expected time and memory."""
    return json_response(await plan_request(services, caller, body))


_HUB = "https://huggingface.co"
_CODE = "https://github.com"
_KNOWN: Mapping[str, Sequence[str]] = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": (
        *("stable-diffusion-v1-5", "v1-5-pruned", "v1-5-pruned-emaonly", "sd15", "sd-v1-5"),
    ),
    "CompVis/stable-diffusion-v1-4": ("stable-diffusion-v1-4", "sd-v1-4", "sd14"),
    "Lykon/dreamshaper-8": ("dreamshaper-8", "dreamshaper8"),
    "prompthero/openjourney": ("openjourney", "openjourney-v1"),
}
"""Homes of models of families that are supported, and what their files and folders are called."""
_PLAIN = re.compile(r"[^a-z0-9]+")


def model_source(name: str, folders: Sequence[str]) -> Source:
    """Return where to get a model.

    Args:
        name: Name of the model in the workflow.
        folders: Models folders, for users who may see them; empty for others.
    """
    home = _home(name)
    stem = without_ending(re.split(r"[/\\]", name)[-1])
    search = SourceLink(f"Search for {stem}", f"{_HUB}/models?search={quote(stem, safe='')}", False)
    links = [search] if home is None else [SourceLink(home, f"{_HUB}/{home}", True), search]
    where = f"into {folders[0]}" if folders else "into a models folder of the server"
    steps = (
        f"Get a model of {supported()}: a .safetensors file, or a folder in the diffusers layout.",
        f"Put it {where}, so that its path there is {name}. Or choose another model in the node.",
        "Run the workflow again: models are found without a restart.",
    )
    return Source("model", name, steps, tuple(links))


def pack_source(name: str) -> Source:
    """Return where to get a node pack."""
    # No install command with this name: anyone may have published another package under it.
    steps = (
        f"Ask the author of the workflow where the pack {name} comes from. A pack is code: use "
        "only packs from people you trust.",
        "Install it in the environment of nodegraph, or put its file or folder into the packs "
        "folder.",
        "Reload the packs in the settings of the server, or restart it.",
    )
    search = SourceLink(
        f"Search for {name}",
        f"{_CODE}/search?q={quote(f'{name} nodegraph', safe='')}&type=repositories",
        False,
    )
    return Source("pack", name, steps, (search,))


def _home(name: str) -> str | None:
    stem = without_ending(re.split(r"[/\\]", name)[-1]).removesuffix(".ckpt")
    plain = _PLAIN.sub("", stem.lower())
    for home, names in _KNOWN.items():
        if name == home or plain in (_PLAIN.sub("", known) for known in names):
            return home
    return None


sources_router = APIRouter(prefix="/sources", tags=["models"])

_MOST = 50
Names = list[Annotated[str, Field(min_length=1, max_length=300)]]


class SourceList(BaseModel):
    """Sources of missing models and node packs."""

    model_config = ConfigDict(extra="forbid")

    items: list[shapes.Source]
    next: str | None = None


@sources_router.get(
    "", summary="Find out where to get models and packs", responses=responses(401, 403, 422)
)
async def list_sources(
    services: TheServices,
    caller: MayRead,
    model: Annotated[
        Names | None, Query(max_length=_MOST, description="Name of a model that is missing.")
    ] = None,
    pack: Annotated[
        Names | None, Query(max_length=_MOST, description="Name of a pack that is missing.")
    ] = None,
) -> SourceList:
    """Return where to find models and packs that a plan reports as missing.

    The server contacts no other site: the answer contains hints for users.
    """
    folders = [str(folder) for folder in services.settings.model_folders]
    shown = folders if caller.may("admin") else []
    sources = [model_source(name, shown) for name in model or ()]
    sources += [pack_source(name) for name in pack or ()]
    return SourceList(items=sources)
