"""Lookup of the ComfyUI pack that provides a node type.

Files of the API format, and those from before 2025, name types alone. Packs are called as their
repositories, in small letters. Many mark their types by the beginning or the end of the name; of
the others, these are the types that are shared most.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

_ENDINGS: Mapping[str, str] = {
    " (rgthree)": "rgthree-comfy",
    "|pysssss": "comfyui-custom-scripts",
    " //Inspire": "comfyui-inspire-pack",
    " (mtb)": "comfy-mtb",
    "KJ": "comfyui-kjnodes",
    "+": "comfyui_essentials",
    "GGUF": "comfyui-gguf",
}
_BEGINNINGS: Mapping[str, str] = {
    "easy ": "comfyui-easy-use",
    "VHS_": "comfyui-videohelpersuite",
    "ADE_": "comfyui-animatediff-evolved",
    "ACN_": "comfyui-advanced-controlnet",
    "CR ": "comfyui_comfyroll_customnodes",
    "ttN ": "comfyui_tinyterranodes",
    "BNK_Tiled": "comfyui_tiledksampler",
    "BNK_": "comfyui_adv_clip_emb",
    "IPAdapter": "comfyui_ipadapter_plus",
    "InstantID": "comfyui_instantid",
    "ApplyInstantID": "comfyui_instantid",
    "PulidFlux": "comfyui-pulid-flux",
    "ApplyPulid": "comfyui-pulid-flux",
    "Impact": "comfyui-impact-pack",
    "SAM2": "comfyui-segment-anything-2",
    "DownloadAndLoadSAM2": "comfyui-segment-anything-2",
    "Florence2": "comfyui-florence2",
    "DownloadAndLoadFlorence2": "comfyui-florence2",
    "LayerUtility: ": "comfyui_layerstyle",
    "LayerMask: ": "comfyui_layerstyle",
    "LayerStyle: ": "comfyui_layerstyle",
    "LayerColor: ": "comfyui_layerstyle",
    "LayerFilter: ": "comfyui_layerstyle",
    "WanVideo": "comfyui-wanvideowrapper",
    "HyVideo": "comfyui-hunyuanvideowrapper",
    "CogVideo": "comfyui-cogvideoxwrapper",
    "LivePortrait": "comfyui-liveportraitkj",
    "SUPIR_": "comfyui-supir",
    "DepthAnything_V2": "comfyui-depthanythingv2",
    "DownloadAndLoadDepthAnythingV2": "comfyui-depthanythingv2",
    "ReActor": "comfyui-reactor",
    "DiffControlNetLoader": "comfyui-advanced-controlnet",
    "ControlNetLoaderAdvanced": "comfyui-advanced-controlnet",
    "UltralyticsDetectorProvider": "comfyui-impact-subpack",
    "SDXLPromptStyler": "sdxl_prompt_styler",
    "UltimateSDUpscale": "comfyui_ultimatesdupscale",
    "INPAINT_": "comfyui-inpaint-nodes",
    "Nunchaku": "comfyui-nunchaku",
}
_TYPES = """
comfyui-impact-pack: AddMask, BasicPipeToDetailerPipe, BboxDetectorSEGS, BitwiseAndMask,
  CLIPSegDetectorProvider, CfgScheduleHookProvider, CombineRegionalPrompts, DetailerForEach,
  DetailerForEachDebug, DetailerForEachPipe, EditBasicPipe, EmptySegs, FaceDetailer,
  FaceDetailerPipe, FromBasicPipe, FromBasicPipe_v2, FromDetailerPipe, GeneralSwitch,
  ImageListToImageBatch, ImageReceiver, ImageSender, IterativeImageUpscale,
  IterativeLatentUpscale, KSamplerAdvancedProvider, KSamplerProvider, LatentPixelScale,
  LatentReceiver, LatentSender, MMDetDetectorProvider, MakeImageBatch, MaskToSEGS,
  ONNXDetectorProvider, PixelKSampleUpscalerProvider, PreviewBridge, PreviewBridgeLatent,
  ReencodeLatent, RegionalPrompt, RegionalSampler, SAMDetectorCombined, SAMDetectorSegmented,
  SAMLoader, SEGSPaste, SEGSPreview, SEGSToImageList, SegmDetectorSEGS, SegsToCombinedMask,
  StringSelector, SubtractMask, ToBasicPipe, ToDetailerPipe, TwoAdvancedSamplersForMask,
  TwoSamplersForMask, WildcardPromptFromString
comfyui_controlnet_aux: AIO_Preprocessor, AnimalPosePreprocessor, AnimeLineArtPreprocessor,
  BAE-NormalMapPreprocessor, BinaryPreprocessor, CannyEdgePreprocessor, ColorPreprocessor,
  DSINE-NormalMapPreprocessor, DWPreprocessor, DensePosePreprocessor, DepthAnythingPreprocessor,
  DepthAnythingV2Preprocessor, FacialPartColoringFromPoseKps, FakeScribblePreprocessor,
  HEDPreprocessor, HintImageEnchance, ImageGenResolutionFromImage, ImageGenResolutionFromLatent,
  InpaintPreprocessor, LeReS-DepthMapPreprocessor, LineArtPreprocessor,
  LineartStandardPreprocessor, M-LSDPreprocessor, Manga2Anime_LineArt_Preprocessor,
  MediaPipe-FaceMeshPreprocessor, MiDaS-DepthMapPreprocessor, MiDaS-NormalMapPreprocessor,
  OneFormer-ADE20K-SemSegPreprocessor, OneFormer-COCO-SemSegPreprocessor, OpenposePreprocessor,
  PiDiNetPreprocessor, PixelPerfectResolution, SavePoseKpsAsJsonFile, ScribblePreprocessor,
  Scribble_PiDiNet_Preprocessor, Scribble_XDoG_Preprocessor, SemSegPreprocessor,
  ShufflePreprocessor, TEEDPreprocessor, TilePreprocessor, UniFormer-SemSegPreprocessor,
  Zoe-DepthMapPreprocessor
comfyui-kjnodes: AddLabel, BlockifyMask, CheckpointPerturbWeights, ColorMatch,
  ConditioningMultiCombine, CreateFluidMask, CreateShapeMask, DifferentialDiffusionAdvanced,
  FloatConstant, GetImageRangeFromBatch, GetImageSizeAndCount, GetNode, GrowMaskWithBlur,
  INTConstant, ImageAndMaskPreview, ImageBatchMulti, ImageConcanate, ImageConcatMulti,
  ImageResizeKJv2, JoinStrings, LazySwitchKJ, MaskBatchMulti, PatchModelPatcherOrder,
  PathchSageAttentionKJ, PreviewAnimation, ResizeMask, SetNode, Sleep, SomethingToString,
  SplineEditor, StringConstant, StringConstantMultiline, VRAM_Debug, WidgetToString
was-node-suite-comfyui: BLIP Analyze Image, BLIP Model Loader, CLIPTextEncode (NSP), Constant
  Number, Create Grid Image, Image Blend, Image Blending Mode, Image Crop Face, Image Crop
  Location, Image Filter Adjustments, Image Input Switch, Image Levels Adjustment, Image Rembg
  (Remove Background), Image Resize, Image Save, Image Size to Number, Image to Latent Mask,
  Integer place counter, Load Image Batch, Logic Boolean, Mask Crop Region, Mask Dilate Region,
  Mask Fill Holes, Number Counter, Number Operation, Number to Float, Number to Int, Random
  Number, Seed, Text Concatenate, Text Find and Replace, Text Load Line From File, Text
  Multiline, Text Random Line, Text String, Text to Conditioning, Text to Console, Upscale Model
  Loader
efficiency-nodes-comfyui: Apply ControlNet Stack, Control Net Stacker, Eff. Loader SDXL,
  Efficient Loader, Evaluate Floats, Evaluate Integers, Evaluate Strings, HighRes-Fix Script,
  Image Overlay, KSampler (Efficient), KSampler Adv. (Efficient), KSampler SDXL (Eff.), LoRA
  Stacker, Noise Control Script, Pack SDXL Tuple, Simple Eval Examples, Tiled Upscaler Script,
  Unpack SDXL Tuple, XY Plot
comfyui-frame-interpolation: AMT VFI, CAIN VFI, FILM VFI, FLAVR VFI, IFRNet VFI, M2M VFI, Make
  Interpolation State List, RIFE VFI, STMFNet VFI
comfyui-advanced-controlnet: ControlNetApplyAdvancedACN, LatentKeyframe, LatentKeyframeGroup,
  LatentKeyframeTiming, ScaledSoftControlNetWeights, TimestepKeyframe
comfyui-animatediff-evolved: AnimateDiffCombine, AnimateDiffLoaderV1, AnimateDiffUnload,
  CheckpointLoaderSimpleWithNoiseSelect
cg-use-everywhere: Anything Everywhere, Anything Everywhere3, Anything Everywhere?, Prompts
  Everywhere, Seed Everywhere, Simple String
sd-dynamic-thresholding: DynamicThresholdingFull, DynamicThresholdingSimple
comfyui-wd14-tagger: WD14Tagger|pysssss
comfyui-mxtoolkit: mxReroute, mxSeed, mxSlider, mxSlider2D, mxStop
comfyui_segment_anything: GroundingDinoModelLoader (segment anything), GroundingDinoSAMSegment
  (segment anything), InvertMask (segment anything), SAMModelLoader (segment anything)
comfyui-logic: Bool-🔬, Float-🔬, If ANY execute A else B, Int-🔬, String-🔬
comfyui-crystools: Load image with metadata [Crystools], Primitive integer [Crystools],
  Primitive string [Crystools], Show any [Crystools], Switch any [Crystools]
comfyui-brushnet: BrushNet, BrushNetLoader, PowerPaint, RAUNet
comfyui-ic-light: ICLightConditioning, LightSource, LoadAndApplyICLightUnet
comfyui-prompt-control: PromptControlSimple, PromptToSchedule, ScheduleToModel
comfyui-detail-daemon: DetailDaemonGraphSigmasNode, DetailDaemonSamplerNode, LyingSigmaSampler,
  MultiplySigmas
comfyui-layerdiffuse: LayeredDiffusionApply, LayeredDiffusionDecode
comfyui-image-saver: Image Saver, Sampler Selector, Scheduler Selector
comfyui-art-venture: ImageScaleDown, ImageScaleDownBy, LaMaInpaint, LoadImageFromUrl
derfuu_comfyui_moddednodes: DF_Float, DF_Image_scale_to_side, DF_Integer, DF_Text_Box
"""
"""A pack and its types, parted by commas; lines that are set in go on."""


def _owners() -> dict[str, str]:
    owners: dict[str, str] = {}
    for line in _TYPES.replace("\n  ", " ").strip().splitlines():
        pack, _, names = line.partition(": ")
        owners |= dict.fromkeys(names.split(", "), pack)
    return owners


_OWNERS: Mapping[str, str] = _owners()


def pack_of(node_type: str) -> str:
    """The pack that brings a node type; empty if it isn't known."""
    if node_type in _OWNERS:
        return _OWNERS[node_type]
    ends = (pack for ending, pack in _ENDINGS.items() if node_type.endswith(ending))
    begins = (pack for start, pack in _BEGINNINGS.items() if node_type.startswith(start))
    return next(chain(ends, begins), "")
