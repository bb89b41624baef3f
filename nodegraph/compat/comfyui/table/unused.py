"""Widgets that nothing here stands for, by type: people are told where they aren't the default."""

from __future__ import annotations

from collections.abc import Mapping

_TIMES = ("temporal_size", "temporal_overlap")
_DRAWN = ("draw_body", "draw_hands", "draw_face", "draw_feet", "draw_head")

UNUSED: Mapping[str, tuple[str, ...]] = {
    "CameraAngle": ("horizontal_angle", "vertical_angle"),
    "ChromaRadianceOptions": (*("preserve_wrapper", "start_sigma", "end_sigma", "nerf_tile_size"),),
    "DA3Inference": ("resolution",),
    "DA3Render": ("output.apply_sky_clip",),
    "EasyCache": ("reuse_threshold", "start_percent", "end_percent"),
    "HunyuanVideo15ImageToVideo": ("batch_size",),
    "HyperTile": ("tile_size", "swap_size", "max_depth", "scale_depth"),
    "ImageBlur": ("blur_radius",),
    "ImageResizeKJv2": ("crop_position",),
    "ImageResize+": ("condition",),
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
    "SaveAnimatedPNG": ("compress_level",),
    "SaveWEBM": ("crf",),
    "TEEDPreprocessor": ("safe_steps",),
    "TemporalScoreRescaling": ("tsr_k", "tsr_sigma"),
    "VAEDecodeTiled": _TIMES,
    "VAEEncodeTiled": _TIMES,
    "VHS_VideoCombine": ("loop_count", "save_output"),
    "Video Slice": ("strict_duration",),
    "WanImageToVideo": ("batch_size",),
}
