"""Build a pipeline of diffusers at run time, so that `pipeline_node.json` needs no download.

Run `nodegraph run pipeline_node.json --pack pipeline_node.py`. If you have a folder of a pipeline,
use LoadPipeline instead.
"""

from pathlib import Path

from nodegraph import Context, Environment, HookInputs, node
from nodegraph.interop.pipelines.classes import Pipeline
from nodegraph.interop.pipelines.pipeline_recipes import open_pipeline
from nodegraph.models.model_sources import find_path


def _folder(environment: Environment) -> Path:
    return environment.temporary / "tiny_film"


def _is_there(inputs: HookInputs) -> str:
    """Its files may be cleared away, as all that is temporary."""
    return str((_folder(inputs.environment) / "model_index.json").is_file())


@node(category="pipelines", lane="io", fingerprint=_is_there, label="Tiny film")
def TinyFilm(ctx: Context) -> Pipeline:
    """Build an AnimateDiff pipeline from the included model and an untrained motion adapter.

    The frames show one object, without movement.
    """
    folder = _folder(ctx.environment)
    if not (folder / "model_index.json").is_file():
        _make(find_path("tiny", ctx.environment.models), folder)
    return open_pipeline(str(folder), (), device=ctx.environment.device)


def _make(tiny: Path, folder: Path) -> None:
    import torch
    from diffusers import AnimateDiffPipeline, MotionAdapter, StableDiffusionPipeline

    still = StableDiffusionPipeline.from_pretrained(tiny)
    about = still.unet.config
    motion = MotionAdapter(
        block_out_channels=about.block_out_channels,
        motion_layers_per_block=about.layers_per_block,
        motion_mid_block_layers_per_block=1,
        motion_num_attention_heads=4,
        motion_norm_num_groups=about.norm_num_groups,
    )
    for name, weights in motion.named_parameters():
        if "proj_out" in name:
            torch.nn.init.zeros_(weights)  # what it adds to each frame: nothing
        else:
            torch.nn.init.constant_(weights, 0.01)  # the same each time that it is made
    parts = {name: part for name, part in still.components.items() if name != "safety_checker"}
    AnimateDiffPipeline(**parts, motion_adapter=motion).save_pretrained(folder)
