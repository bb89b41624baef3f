"""Texts of prompts, before they are encoded."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import Advanced, Context, Multiline, Range, Seed, node

from ._wildcard_facts import check_choices, wildcards

Syntax = Annotated[Literal["dynamic prompts", "comfyui"], Advanced()]


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
    text: Annotated[str, Multiline()],
    seed: Annotated[int, Seed()] = 0,
    syntax: Syntax = "dynamic prompts",
) -> str:
    r"""Draw a prompt by a seed: {red|green|blue} is one of them, __animal__ a line of a file.

    {3::red|green} is red three times as often, {2$$red|green|blue} two of them,
    {1-2$$ and $$red|green} one or two with " and " between. __pets/small__ is a line of
    wildcards/pets/small.txt in the inputs folder, and may draw further. \{ \} \_ are plain. Link a
    SeedRange to draw many.

    Args:
        text: What is drawn from.
        seed: The same one draws the same, as long as the files are the same.
        syntax: As written above, or comfyui: as ComfyUI's page reads prompts, with // and /* */
            comments, and without weights, counts and files. Imports set it.
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
    text: Annotated[str, Multiline()],
    most: Annotated[int, Range(1, 100_000)] = 1000,
    syntax: Syntax = "dynamic prompts",
) -> list[str]:
    """List all prompts that RandomPrompt could draw; a node that is linked to it runs for each.

    Args:
        text: What is drawn from, as of RandomPrompt; weights don't count, but for those of 0.
        most: More than so many are refused.
        syntax: As of RandomPrompt.
    """
    from nodegraph.sampling import comfyui_prompts
    from nodegraph.sampling.wildcards import every_prompt

    if syntax == "comfyui":
        return comfyui_prompts.every_prompt(text, most)
    return every_prompt(text, wildcards(ctx.environment, ctx.file), most)
