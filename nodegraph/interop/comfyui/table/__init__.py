"""Built-in table of ComfyUI node types, and their translation both ways.

A module for each kind of node; each has its own `ENTRIES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nodegraph.interop.comfyui.entries import TableEntry
from nodegraph.interop.comfyui.table import (
    audio_video,
    character_animation,
    conditioning,
    context_windows,
    control,
    detailers,
    easy_use,
    edit_prompts,
    efficiency,
    hooks,
    image_edit,
    images,
    latents,
    loaders,
    minimax_h3,
    model_merging,
    pack_images,
    pack_nodes,
    patches,
    pipes,
    regions,
    samplers_schedules,
    sampling,
    shapes,
    speed,
    text,
    upscaling,
    values,
    video_conditioning,
    vision,
    wan_conditioning,
)

_TIMES = ("temporal_size", "temporal_overlap")
_DRAWN = ("draw_body", "draw_hands", "draw_face", "draw_feet", "draw_head")

UNUSED: Mapping[str, tuple[str, ...]] = {
    "CLIPSegDetectorProvider": ("blur",),
    "CameraAngle": ("horizontal_angle", "vertical_angle"),
    "ChromaRadianceOptions": (*("preserve_wrapper", "start_sigma", "end_sigma", "nerf_tile_size"),),
    "DA3Inference": ("resolution",),
    "DA3Render": ("output.apply_sky_clip",),
    "EasyCache": ("reuse_threshold", "start_percent", "end_percent"),
    "CLIPTextEncodePixArtAlpha": ("width", "height"),
    "HunyuanVideo15ImageToVideo": ("batch_size",),
    "LazyCache": ("reuse_threshold", "start_percent", "end_percent"),
    "TomePatchModel": ("ratio",),
    "HyperTile": ("tile_size", "swap_size", "max_depth", "scale_depth"),
    "ImageBatchMultiple+": ("method",),
    "ImageBlur": ("blur_radius",),
    "ImageResizeKJv2": ("crop_position",),
    "ImageSharpen": ("sharpen_radius",),
    "LineartStandardPreprocessor": ("guassian_sigma", "intensity_threshold"),
    "LineArtPreprocessor": ("coarse",),
    "MiDaS-DepthMapPreprocessor": ("a", "bg_threshold"),
    "MoGeInference": (
        *("resolution_level", "fov_x_degrees", "force_projection", "apply_mask", "refine_steps"),
    ),
    "SAM3_Detect": ("refine_iterations", "individual_masks"),
    "SDPoseDrawKeypoints": (*(*_DRAWN, "stick_width", "face_point_size", "score_threshold"),),
    "SamplerDPMPP_2M_SDE": ("noise_device",),
    "SamplerDPMPP_3M_SDE": ("noise_device",),
    "SamplerDPMPP_SDE": ("r", "noise_device"),
    "SamplerER_SDE": ("eta",),
    "SEGSPreview": ("alpha_mode", "min_alpha"),
    **dict.fromkeys(("Save3DAdvanced", "Preview3DAdvanced"), ("viewport_state",)),
    "SaveAnimatedPNG": ("compress_level",),
    "SaveWEBM": ("crf",),
    "TEEDPreprocessor": ("safe_steps",),
    "TemporalScoreRescaling": ("tsr_k", "tsr_sigma"),
    "VAEDecodeTiled": _TIMES,
    "VAEEncodeTiled": _TIMES,
    "VHS_VideoCombine": ("loop_count", "save_output"),
    "Video Slice": ("strict_duration",),
    "WanFirstLastFrameToVideo": ("batch_size",),
    "WanFunInpaintToVideo": ("batch_size",),
    "WanImageToVideo": ("batch_size",),
}


MODULES = (
    loaders,
    model_merging,
    conditioning,
    video_conditioning,
    wan_conditioning,
    character_animation,
    minimax_h3,
    hooks,
    edit_prompts,
    control,
    patches,
    speed,
    context_windows,
    samplers_schedules,
    sampling,
    latents,
    images,
    image_edit,
    vision,
    values,
    text,
    audio_video,
    shapes,
    pack_nodes,
    pack_images,
    pipes,
    efficiency,
    easy_use,
    regions,
    detailers,
    upscaling,
)


def built_in() -> tuple[TableEntry, ...]:
    """All entries, those of loaders first."""
    entries = (entry for module in MODULES for entry in module.ENTRIES)
    return tuple(
        replace(entry, is_built_in=True, unused=UNUSED.get(entry.type, ())) for entry in entries
    )
