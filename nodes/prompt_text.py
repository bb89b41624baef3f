"""Prompt templates, expanded before encoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from nodegraph import (
    Advanced,
    Context,
    Environment,
    Finding,
    HookInputs,
    NodegraphError,
    PromptText,
    Range,
    Seed,
    node,
)

from ._facts import error_to_finding

Syntax = Annotated[Literal["dynamic prompts", "comfyui"], Advanced()]


if TYPE_CHECKING:
    from nodegraph.sampling.wildcards import WildcardFiles


def wildcards(
    environment: Environment, reading: Callable[[Path], object] = lambda path: path
) -> WildcardFiles:
    """The wildcards of the inputs folder.

    Args:
        reading: Called with each file before it is read.
    """
    from nodegraph.sampling.wildcards import WildcardFiles

    # Users of a server must not learn about files of others.
    return WildcardFiles(environment.inputs, environment.readable is None, reading)


def check_choices(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid choices, and wildcards without a file."""
    from nodegraph.sampling.comfyui_prompts import check_prompt
    from nodegraph.sampling.wildcards import parse_choices, wildcard_names

    text, syntax = inputs.literals.get("text"), inputs.literals.get("syntax")
    if text is None or syntax is None:
        return
    try:
        if syntax == "comfyui":
            check_prompt(text)
            return
        files = wildcards(inputs.environment)
        for name in wildcard_names(parse_choices(text)):
            files(name)
    except NodegraphError as error:
        yield error_to_finding("text", error)


@node(
    category="text/prompt",
    validate=check_choices,
    tags=(
        "wildcards",
        "dynamic prompts",
        "choice",
        "seed",
        "ImpactWildcardProcessor",
        "pick random",
        "random line",
    ),
)
def RandomPrompt(
    ctx: Context,
    text: Annotated[str, PromptText()],
    seed: Annotated[int, Seed()] = 0,
    syntax: Syntax = "dynamic prompts",
) -> str:
    r"""Draw a random prompt from a template: {red|green|blue} is one choice, __animal__ a line of a
    file.

    {3::red|green} draws red three times as often. {2$$red|green|blue} draws two choices, {1-2$$ and
    $$red|green} one or two, joined by " and ". __pets/small__ draws a line of
    wildcards/pets/small.txt in the inputs folder, which may contain choices, too. \{ \} \_ are
    plain characters. Link a SeedRange to the seed to get many prompts.

    Args:
        text: The template.
        seed: Seed of the draw. The same seed gives the same prompt as long as the files are the
            same.
        syntax: The syntax above, or comfyui. comfyui reads prompts as the ComfyUI page does, with
            // and /* */ comments, but without weights, counts and files. Imports of workflows set
            it.
    """
    from nodegraph.sampling import comfyui_prompts
    from nodegraph.sampling.wildcards import draw_prompt

    if syntax == "comfyui":
        return comfyui_prompts.draw_prompt(text, seed)
    return draw_prompt(text, seed, wildcards(ctx.environment, ctx.file))


@node(
    category="text/prompt",
    validate=check_choices,
    tags=("wildcards", "dynamic prompts", "combinatorial", "combinations", "grid"),
)
def AllPrompts(
    ctx: Context,
    text: Annotated[str, PromptText()],
    most: Annotated[int, Range(1, 100_000)] = 1000,
    syntax: Syntax = "dynamic prompts",
) -> list[str]:
    """Return all prompts that RandomPrompt could draw. A node that is linked to them runs for each.

    Args:
        text: The template, as for RandomPrompt. Weights are ignored, except weights of 0.
        most: Maximum number of prompts. More are an error.
        syntax: As for RandomPrompt.
    """
    from nodegraph.sampling import comfyui_prompts
    from nodegraph.sampling.wildcards import every_prompt

    if syntax == "comfyui":
        return comfyui_prompts.every_prompt(text, most)
    return every_prompt(text, wildcards(ctx.environment, ctx.file), most)
