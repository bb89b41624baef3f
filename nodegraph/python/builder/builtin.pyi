# Made by `nodegraph stubs` of what the node types declare: don't edit.
"""Node types as methods, for editors and type checkers."""

from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any, Literal, TypeAlias, TypeVar

from nodegraph.core import plots as _plots
from nodegraph.core import spatial_values as _spatial_values
from nodegraph.core import training_values as _training_values
from nodegraph.core import values as _values
from nodegraph.media.images.pillow_conversion import Picture as _Picture
from nodegraph.python.builder.scope import PackNodes
from nodegraph.python.builder.outputs import BuiltNode, OneOutput, Out
from nodegraph.python.builder.graph import BuiltSubgraph

_T = TypeVar("_T")
Link: TypeAlias = Out[_T] | Out[Sequence[_T]]
"""An output that fits an input: one of a list has the node run for each item."""

class AnyItem:
    """Anything except a list, whose items come one by one."""

class Audio:
    """float32 [channels, samples] in -1..1, and their rate."""

class CameraPath:
    """The path of a camera through a video."""

class CanvasBox:
    """A rectangle of the canvas, and the size at which it is sampled."""

class Classifier:
    """Recipe of a classifier of noisy latents."""

class Conditioning:
    """Encoded prompts."""

class ControlNet:
    """Recipe of a ControlNet."""

class Dataset:
    """Training examples with their captions."""

class DiffusionModel:
    """Recipe of a diffusion model."""

class FrameInterpolationModel:
    """Recipe of a network that computes frames between others; its family is its kind."""

class GLIGEN:
    """GLIGEN layers, and the part of the sampling in which a model has them."""

class Guider:
    """What a model is led by, and how its answers are put together."""

class IPAdapter:
    """An IP-Adapter, and the eyes that tell it what an image shows."""

class Image:
    """float32 [batch, height, width, channels] in 0..1, sRGB."""

class ImageEncoder:
    """Recipe of an image encoder."""

class LanguageModel:
    """A language model by itself: what it is made of, not its weights."""

class Latent:
    """Latents of a batch, or the size of a batch to sample."""

class LatentUpscaleModel:
    """Recipe of a network that makes latents larger; its family is its kind."""

class Layers:
    """Layers of an image with placement, opacity and blend mode, bottom first."""

class Mesh:
    """A surface of triangles, with colors or a texture."""

class Molecule:
    """Atoms, their positions, and bonds."""

class Noise:
    """The noise that a sampling begins with, and the seed of what is drawn on the way."""

class Path:
    """A file or folder."""

class Plot:
    """Series of numbers over common axes."""

class PointCloud:
    """Points in space, with colors."""

class Preprocessor:
    """Function that computes control images, such as edge maps, from images."""

class Region:
    """The part of an image that was cut out of it, and what of that part is to change."""

class Sampler:
    """The method by which a sampling steps."""

class Schedule:
    """The noise levels that a sampling walks, as a value."""

class TextEncoder:
    """Recipe of a text encoder with its tokenizer."""

class Tiling:
    """How an image was cut into tiles, row by row from the upper left."""

class TrainedWeights:
    """The result of a training."""

class TrainingOptions:
    """How a model is taught, besides what each node asks for."""

class TrainingSamples:
    """Images that are made while a model learns, to look at."""

class UpscaleModel:
    """Recipe of a network that makes images larger, or mends them; its family is its kind."""

class Vae:
    """Recipe of a variational autoencoder."""

class Video:
    """float32 [frames, height, width, 3] in 0..1, rate and audio."""

class VisionModel:
    """A model that sees: what it is made of, not its weights."""

class Voxels:
    """A grid of numbers in space, higher inside solids."""

class Mask(Image):
    """float32 [batch, height, width] in 0..1."""

_mode: TypeAlias = Literal['normal', 'multiply', 'screen', 'overlay', 'darken', 'lighten', 'color dodge', 'color burn', 'hard light', 'soft light', 'difference', 'exclusion', 'add', 'subtract', 'divide', 'hue', 'saturation', 'color', 'luminosity']

_mode_: TypeAlias = Literal['none', 'pose', 'depth', 'soft edges', 'scribble', 'edges', 'lines', 'normal', 'segments', 'tile', 'repaint', 'blur', 'grey', 'low quality']

_schedule: TypeAlias = Literal['normal', 'karras', 'exponential', 'sgm_uniform', 'simple', 'beta', 'kl_optimal', 'linear_quadratic', 'ddim_uniform', 'align_your_steps', 'gits', 'leading', 'trailing', 'linspace']

_motion: TypeAlias = Literal['static', 'pan up', 'pan down', 'pan left', 'pan right', 'zoom in', 'zoom out', 'counterclockwise', 'clockwise']

_how: TypeAlias = Literal['union', 'intersect', 'subtract', 'xor', 'multiply', 'add']

_reference_sampler: TypeAlias = Literal['euler', 'euler_ancestral', 'heun', 'heunpp2', 'restart', 'dpm_2', 'dpm_2_ancestral', 'dpmpp_2s', 'dpmpp_2s_ancestral', 'dpmpp_sde', 'dpmpp_2m', 'dpmpp_2m_sde', 'dpmpp_2m_sde_heun', 'dpmpp_3m', 'dpmpp_3m_sde', 'res_multistep', 'res_multistep_ancestral', 'exp_heun_2_x0', 'exp_heun_2_x0_sde', 'seeds_2', 'seeds_3', 'er_sde', 'sa_solver', 'sa_solver_pece', 'gradient_estimation', 'euler_cfg_pp', 'euler_ancestral_cfg_pp', 'dpmpp_2s_ancestral_cfg_pp', 'dpmpp_2m_cfg_pp', 'gradient_estimation_cfg_pp', 'uni_pc', 'uni_pc_bh1', 'deis', 'lms', 'ipndm', 'ipndm_v', 'ddim', 'ddpm', 'pndm', 'cogvideox_dpm', 'lcm', 'tcd']

_how_: TypeAlias = Literal['is', 'contains', 'starts with', 'ends with', 'matches']

_anchor: TypeAlias = Literal['top left', 'top', 'top right', 'left', 'center', 'right', 'bottom left', 'bottom', 'bottom right']

_schedule_: TypeAlias = Literal['standard_static', 'standard_uniform', 'looped_uniform', 'batched']

_below: TypeAlias = Literal['caption', 'label', 'tags', 'name', 'split', 'nothing']

_family: TypeAlias = Literal['ace-step', 'stable-audio', 'stable-audio-3', 'minimax-music3', 'longcat-audio']

_task: TypeAlias = Literal['text2music', 'repaint', 'cover', 'extract', 'lego', 'complete']

_by: TypeAlias = Literal['area', 'width', 'height', 'left', 'top', 'right', 'bottom', 'elongation', 'confidence']

_method: TypeAlias = Literal['luma', 'luminance', 'average', 'lightness', 'red', 'green', 'blue']

_family_: TypeAlias = Literal['auto', 'sd1', 'sd2', 'sdxl', 'sdxl-refiner', 'sd3', 'pixart-sigma', 'flux', 'sana', 'ltx', 'lumina2', 'wan', 'chroma', 'hidream', 'wan22-5b', 'qwen-image', 'qwen-image-edit', 'qwen-image-edit-plus', 'hunyuan-image', 'flux2', 'z-image', 'flux2-klein', 'molecules', 'shapes', 'sounds', 'motions', 'auraflow', 'ltx2', 'qwen-image-21', 'krea2', 'ovis-image', 'longcat-image', 'longcat-image-edit', 'ace-step', 'mochi', 'cosmos-predict2', 'cosmos', 'stable-audio', 'stable-audio-3', 'ernie-image', 'ideogram4', 'hunyuan-video-15', 'hunyuan-video', 'hunyuan-video-i2v', 'hunyuan-video-i2v-v1', 'kandinsky5-image', 'kandinsky5-video', 'kandinsky5-edit', 'anima', 'fibo2', 'joyimage-edit', 'cogview4', 'cogvideox', 'sana-video', 'sana-video-720p', 'minimax-h3', 'prx-dc', 'prx', 'nucleusmoe-image', 'flux3-klein', 'qwen-image-layered', 'minimax-music3', 'longcat-audio', 'ltx25', 'kolors', 'hunyuan-dit', 'glm-image', 'stable-cascade', 'stable-cascade-decoder', 'wan-animate-2', 'shap-e', 'shap-e-image', 'skyreels-v2-df', 'skyreels-v2', 'z-image-omni', 'cosmos-predict25', 'cosmos-transfer25']

_channel: TypeAlias = Literal['auto', 'brightness', 'transparency', 'red', 'green', 'blue']

_family__: TypeAlias = Literal['sd1', 'sd2', 'sdxl', 'sdxl-refiner', 'sd3', 'pixart-sigma', 'flux', 'sana', 'ltx', 'lumina2', 'wan', 'chroma', 'hidream', 'wan22-5b', 'qwen-image', 'qwen-image-edit', 'qwen-image-edit-plus', 'hunyuan-image', 'flux2', 'z-image', 'flux2-klein', 'ltx2', 'qwen-image-21', 'krea2', 'ovis-image', 'longcat-image', 'longcat-image-edit', 'ace-step', 'mochi', 'cosmos-predict2', 'cosmos', 'stable-audio', 'stable-audio-3', 'ernie-image', 'ideogram4', 'hunyuan-video-15', 'hunyuan-video', 'hunyuan-video-i2v', 'hunyuan-video-i2v-v1', 'kandinsky5-image', 'kandinsky5-video', 'kandinsky5-edit', 'anima', 'fibo2', 'joyimage-edit', 'cogvideox', 'sana-video', 'sana-video-720p', 'minimax-h3', 'nucleusmoe-image', 'flux3-klein', 'qwen-image-layered', 'minimax-music3', 'longcat-audio', 'ltx25', 'stable-cascade', 'stable-cascade-decoder', 'wan-animate-2', 'skyreels-v2-df', 'skyreels-v2', 'z-image-omni', 'cosmos-predict25', 'cosmos-transfer25']

_latents: TypeAlias = Literal['auto', 'sd', 'sdxl', 'sd3', 'flux', 'wan', 'qwen-image']

_channel_: TypeAlias = Literal['luminance', 'red', 'green', 'blue', 'alpha', 'saturation', 'value']

_operation: TypeAlias = Literal['erode', 'dilate', 'open', 'close', 'gradient', 'top hat', 'bottom hat']

_motion_: TypeAlias = Literal['left', 'right', 'up', 'down', 'bounce', 'turn', 'grow', 'shrink', 'still']

_order: TypeAlias = Literal['reversed', 'sorted', 'sorted downwards', 'shuffled']

_family___: TypeAlias = Literal['tiny', 'sd1', 'sd2', 'sdxl', 'sd3', 'pixart-sigma', 'flux', 'flux-kontext', 'sana', 'ltx', 'lumina2', 'wan', 'chroma', 'hidream', 'wan22-5b', 'qwen-image', 'hunyuan-image', 'flux2', 'z-image', 'auraflow', 'ltx2', 'qwen-image-21', 'krea2', 'ovis-image', 'longcat-image', 'mochi', 'cosmos-predict2', 'cosmos', 'ernie-image', 'ideogram4', 'hunyuan-video-15-480p', 'hunyuan-video-15-720p', 'hunyuan-video-540p', 'hunyuan-video-720p', 'kandinsky5-image', 'kandinsky5-video', 'anima', 'fibo2', 'joyimage-edit', 'cogview4', 'cogvideox', 'sana-video', 'sana-video-720p', 'minimax-h3', 'prx-dc', 'prx', 'nucleusmoe-image', 'flux3-klein', 'qwen-image-layered', 'kolors', 'hunyuan-dit', 'glm-image', 'wan-animate-2', 'skyreels-v2', 'z-image-omni', 'cosmos-predict25', 'cosmos-transfer25']

_aspect: TypeAlias = Literal['1:1', '5:4', '4:3', '3:2', '16:10', '16:9', '2:1', '21:9']

_by_: TypeAlias = Literal['factor', 'longer side', 'shorter side', 'width', 'height', 'megapixels']

_hint: TypeAlias = Literal['center', 'horizontal', 'vertical', 'rectangle', 'diamond', 'mask', 'none']

_kind: TypeAlias = Literal['canny edges', 'soft edges', 'line art', 'scribble', 'tile', 'color blocks', 'blur', 'posterize', 'normal map']

_solid: TypeAlias = Literal['ball', 'box', 'cylinder', 'cone', 'pyramid', 'torus', 'capsule', 'tube', 'table', 'chair', 'cross', 'dumbbell']

_color: TypeAlias = Literal['red', 'orange', 'yellow', 'green', 'blue', 'purple', 'white', 'black']

_kind_: TypeAlias = Literal['any', 'bell', 'drum', 'bird', 'engine', 'plucked string', 'harp', 'flute', 'organ', 'violin', 'clarinet', 'trumpet', 'piano', 'marimba', 'siren', 'laser', 'alarm', 'whistle', 'frog', 'wind', 'rattle']

_attention: TypeAlias = Literal['auto', 'math', 'sliced', 'flash', 'efficient', 'cudnn', 'sage', 'flash_attn', 'xformers']

_schedule__: TypeAlias = Literal['constant', 'linear', 'cosine', 'cosine_with_restarts', 'polynomial']

class _AdaptiveGuider(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _AddFrameGuide(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _AddGrain(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _AddImageNoise(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _AddLatents(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _AddLayer(OneOutput[Layers]):
    @property
    def layers(self) -> Out[Layers]: ...

class _AddNegative(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _AddNoise(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _AddScheduleNoise(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _AdjustCurves(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _AdjustExposure(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _AdjustLevels(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _AllPrompts(OneOutput[list[str]]):
    @property
    def texts(self) -> Out[list[str]]: ...

class _AmplifyAudio(OneOutput[Audio]):
    @property
    def audio(self) -> Out[Audio]: ...

class _AnimationConditioning(BuiltNode):
    @property
    def conditioning(self) -> Out[Conditioning]: ...
    @property
    def latent(self) -> Out[Latent]: ...
    @property
    def next_start(self) -> Out[int]: ...
    @property
    def end(self) -> Out[int]: ...

class _ApplyControlNet(BuiltNode):
    @property
    def positive(self) -> Out[Conditioning]: ...
    @property
    def negative(self) -> Out[Conditioning]: ...

class _ApplyIPAdapter(BuiltNode):
    @property
    def model(self) -> Out[DiffusionModel]: ...
    @property
    def positive(self) -> Out[Conditioning]: ...
    @property
    def negative(self) -> Out[Conditioning]: ...

class _ApplyLut(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _ApplyRedux(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _ApplyWeights(BuiltNode):
    @property
    def model(self) -> Out[DiffusionModel]: ...
    @property
    def text_encoder(self) -> Out[TextEncoder]: ...

class _AreaConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _AttentionBroadcast(OneOutput[DiffusionModel]):
    @property
    def model(self) -> Out[DiffusionModel]: ...

class _AttentionMaps(BuiltNode):
    @property
    def words(self) -> Out[list[str]]: ...
    @property
    def maps(self) -> Out[list[Mask]]: ...

class _AudioStatistics(BuiltNode):
    @property
    def seconds(self) -> Out[float]: ...
    @property
    def peak(self) -> Out[float]: ...
    @property
    def loudness(self) -> Out[float]: ...
    @property
    def pitch(self) -> Out[float]: ...
    @property
    def note(self) -> Out[str]: ...
    @property
    def brightness(self) -> Out[float]: ...
    @property
    def text(self) -> Out[str]: ...

class _AugmentDataset(OneOutput[Dataset]):
    @property
    def dataset(self) -> Out[Dataset]: ...

class _AutoContrast(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _AutoGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _AverageConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _BasicGuider(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _BasicSchedule(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _BatchSeeds(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _BetaSchedule(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _BlendImages(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _BlendLatents(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _BlurImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _Boolean(OneOutput[bool]):
    @property
    def value(self) -> Out[bool]: ...

class _BoundingBox(BuiltNode):
    @property
    def box(self) -> Out[CanvasBox]: ...
    @property
    def width(self) -> Out[int]: ...
    @property
    def height(self) -> Out[int]: ...

class _BrightnessContrast(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _CFGGuider(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _Calculate(OneOutput[float]):
    @property
    def number(self) -> Out[float]: ...

class _CallImageAPI(BuiltNode):
    @property
    def image(self) -> Out[Image]: ...
    @property
    def cost(self) -> Out[str]: ...

class _CameraConditioning(BuiltNode):
    @property
    def conditioning(self) -> Out[Conditioning]: ...
    @property
    def latent(self) -> Out[Latent]: ...

class _CameraMotion(BuiltNode):
    @property
    def camera(self) -> Out[CameraPath]: ...
    @property
    def width(self) -> Out[int]: ...
    @property
    def height(self) -> Out[int]: ...
    @property
    def frames(self) -> Out[int]: ...

class _CannyEdges(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _CaptionForLayers(OneOutput[str]):
    @property
    def text(self) -> Out[str]: ...

class _CaptionImage(BuiltNode):
    @property
    def caption(self) -> Out[str]: ...
    @property
    def captions(self) -> Out[list[str]]: ...

class _ChangeCase(OneOutput[str]):
    @property
    def text(self) -> Out[str]: ...

class _ChangingGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _ChooseLine(BuiltNode):
    @property
    def text(self) -> Out[str]: ...
    @property
    def number(self) -> Out[int]: ...

class _ChromaticAberration(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _ChunkList(OneOutput[list[list[Any]]]):
    @property
    def output(self) -> Out[list[list[Any]]]: ...

class _ClassifierGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _ClassifyImages(BuiltNode):
    @property
    def labels(self) -> Out[list[str]]: ...
    @property
    def confidences(self) -> Out[list[float]]: ...

class _ClassifyLatents(BuiltNode):
    @property
    def labels(self) -> Out[list[str]]: ...
    @property
    def backgrounds(self) -> Out[list[str]]: ...
    @property
    def confidences(self) -> Out[list[float]]: ...

class _ClearNoiseMask(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _ClipSkip(OneOutput[TextEncoder]):
    @property
    def text_encoder(self) -> Out[TextEncoder]: ...

class _ColorBlocks(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _CombineConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _CombineMasks(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _CombineSoundLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _Compare(OneOutput[bool]):
    @property
    def value(self) -> Out[bool]: ...

class _CompareAudio(BuiltNode):
    @property
    def spectral(self) -> Out[float]: ...
    @property
    def cepstral(self) -> Out[float]: ...
    @property
    def cents(self) -> Out[float]: ...
    @property
    def louder(self) -> Out[float]: ...
    @property
    def text(self) -> Out[str]: ...

class _CompareDistributions(BuiltNode):
    @property
    def plot(self) -> Out[Plot]: ...
    @property
    def differences(self) -> Out[Plot]: ...
    @property
    def card(self) -> Out[str]: ...
    @property
    def chance(self) -> Out[float]: ...

class _CompareImages(BuiltNode):
    @property
    def psnr(self) -> Out[float]: ...
    @property
    def ssim(self) -> Out[float]: ...
    @property
    def ms_ssim(self) -> Out[float]: ...
    @property
    def gmsd(self) -> Out[float]: ...
    @property
    def mae(self) -> Out[float]: ...
    @property
    def text(self) -> Out[str]: ...

class _CompareSamplings(BuiltNode):
    @property
    def images(self) -> Out[list[Image]]: ...
    @property
    def text(self) -> Out[str]: ...
    @property
    def plot(self) -> Out[Plot]: ...
    @property
    def times(self) -> Out[Plot]: ...
    @property
    def distances(self) -> Out[list[float]]: ...
    @property
    def psnr(self) -> Out[list[float]]: ...

class _CompareSets(BuiltNode):
    @property
    def frechet(self) -> Out[float]: ...
    @property
    def precision(self) -> Out[float]: ...
    @property
    def recall(self) -> Out[float]: ...
    @property
    def coverage(self) -> Out[float]: ...
    @property
    def plot(self) -> Out[Plot]: ...
    @property
    def report(self) -> Out[str]: ...

class _CompareTexts(OneOutput[bool]):
    @property
    def value(self) -> Out[bool]: ...

class _CompositeImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _CompositeLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _CompositeMasked(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _ConcatLatents(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _ConcatenateConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _ConnectLanguageModel(OneOutput[LanguageModel]):
    @property
    def language_model(self) -> Out[LanguageModel]: ...

class _ContextWindows(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _ControlVideoConditioning(BuiltNode):
    @property
    def conditioning(self) -> Out[Conditioning]: ...
    @property
    def latent(self) -> Out[Latent]: ...

class _CropImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _CropLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _CropRegion(BuiltNode):
    @property
    def image(self) -> Out[Image]: ...
    @property
    def mask(self) -> Out[Mask]: ...

class _CropToMask(BuiltNode):
    @property
    def image(self) -> Out[Image]: ...
    @property
    def mask(self) -> Out[Mask]: ...
    @property
    def region(self) -> Out[Region]: ...

class _CrossLists(BuiltNode):
    @property
    def first(self) -> Out[list[Any]]: ...
    @property
    def second(self) -> Out[list[Any]]: ...

class _CutLatentFrames(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _CutText(OneOutput[str]):
    @property
    def text(self) -> Out[str]: ...

class _DatasetFromImages(OneOutput[Dataset]):
    @property
    def dataset(self) -> Out[Dataset]: ...

class _DatasetImages(BuiltNode):
    @property
    def images(self) -> Out[list[Image]]: ...
    @property
    def masks(self) -> Out[list[Mask]]: ...
    @property
    def captions(self) -> Out[list[str]]: ...
    @property
    def labels(self) -> Out[list[str]]: ...
    @property
    def names(self) -> Out[list[str]]: ...

class _DatasetReport(BuiltNode):
    @property
    def report(self) -> Out[str]: ...
    @property
    def plot(self) -> Out[Plot]: ...
    @property
    def counts(self) -> Out[dict[str, Any]]: ...

class _DatasetSheet(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _DecodeMolecules(BuiltNode):
    @property
    def molecules(self) -> Out[list[Molecule]]: ...
    @property
    def valid(self) -> Out[int]: ...
    @property
    def sampled(self) -> Out[int]: ...

class _DecodeMotion(OneOutput[list[Video]]):
    @property
    def videos(self) -> Out[list[Video]]: ...

class _DecodeShapes(OneOutput[list[Mesh]]):
    @property
    def meshs(self) -> Out[list[Mesh]]: ...

class _DecodeSound(OneOutput[list[Audio]]):
    @property
    def audios(self) -> Out[list[Audio]]: ...

class _DenoisingSteps(OneOutput[list[Latent]]):
    @property
    def latents(self) -> Out[list[Latent]]: ...

class _DetailRegions(BuiltNode):
    @property
    def image(self) -> Out[Image]: ...
    @property
    def parts(self) -> Out[list[Image]]: ...

class _DetectRegions(BuiltNode):
    @property
    def regions(self) -> Out[list[Region]]: ...
    @property
    def mask(self) -> Out[Mask]: ...
    @property
    def number(self) -> Out[int]: ...

class _DetectThings(BuiltNode):
    @property
    def boxes(self) -> Out[str]: ...
    @property
    def mask(self) -> Out[Mask]: ...
    @property
    def number(self) -> Out[int]: ...

class _Distill(BuiltNode):
    @property
    def model(self) -> Out[DiffusionModel]: ...
    @property
    def text_encoder(self) -> Out[TextEncoder]: ...
    @property
    def weights(self) -> Out[TrainedWeights]: ...
    @property
    def losses(self) -> Out[Plot]: ...

class _DistilledGuider(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _DominantColors(BuiltNode):
    @property
    def colors(self) -> Out[list[str]]: ...
    @property
    def image(self) -> Out[Image]: ...

class _DrawAudio(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _DrawBoxes(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _DrawHeat(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _DrawLatent(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _DrawMesh(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _DrawMolecule(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _DrawPlot(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _DrawShape(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _DrawSpectrogram(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _DrawText(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _DreamBooth(BuiltNode):
    @property
    def model(self) -> Out[DiffusionModel]: ...
    @property
    def text_encoder(self) -> Out[TextEncoder]: ...
    @property
    def weights(self) -> Out[TrainedWeights]: ...
    @property
    def losses(self) -> Out[Plot]: ...

class _DrivingVideoConditioning(BuiltNode):
    @property
    def conditioning(self) -> Out[Conditioning]: ...
    @property
    def latent(self) -> Out[Latent]: ...
    @property
    def next_start(self) -> Out[int]: ...
    @property
    def end(self) -> Out[int]: ...

class _DualCFGGuider(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _EditCaptions(OneOutput[Dataset]):
    @property
    def dataset(self) -> Out[Dataset]: ...

class _EmbossImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _EmptyAudioLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _EmptyImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _EmptyItems(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _EmptyLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _EmptyLayeredLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _EmptyMusicLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _EmptyVideoLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _EncodeEditPrompt(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _EncodeImagePrompt(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _EncodeMusicPrompt(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _EncodePrompt(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _EncodePromptApart(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _EncodeSongPrompt(BuiltNode):
    @property
    def conditioning(self) -> Out[Conditioning]: ...
    @property
    def seconds(self) -> Out[float]: ...

class _EnhancePrompt(OneOutput[str]):
    @property
    def text(self) -> Out[str]: ...

class _EstimateDepth(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _EstimatePose(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _ExponentialSchedule(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _ExtractLora(OneOutput[TrainedWeights]):
    @property
    def weights(self) -> Out[TrainedWeights]: ...

class _FadeMaskBorders(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _FallbackConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _FeatherMask(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _FillMaskHoles(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _FillMasked(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _FilterDataset(BuiltNode):
    @property
    def matching(self) -> Out[Dataset]: ...
    @property
    def others(self) -> Out[Dataset]: ...

class _FilterMolecules(OneOutput[list[Molecule]]):
    @property
    def molecules(self) -> Out[list[Molecule]]: ...

class _FilterRegions(BuiltNode):
    @property
    def regions(self) -> Out[list[Region]]: ...
    @property
    def others(self) -> Out[list[Region]]: ...

class _FindEdges(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _FindText(OneOutput[list[str]]):
    @property
    def texts(self) -> Out[list[str]]: ...

class _FineTune(BuiltNode):
    @property
    def model(self) -> Out[DiffusionModel]: ...
    @property
    def weights(self) -> Out[TrainedWeights]: ...
    @property
    def losses(self) -> Out[Plot]: ...

class _FirstBlockCache(OneOutput[DiffusionModel]):
    @property
    def model(self) -> Out[DiffusionModel]: ...

class _FlattenImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _FlattenLayers(BuiltNode):
    @property
    def image(self) -> Out[Image]: ...
    @property
    def mask(self) -> Out[Mask]: ...

class _FlipImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _FlipLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _FlipSchedule(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _Flux2Schedule(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _Fold(BuiltNode):
    @property
    def result(self) -> Out[Any]: ...
    @property
    def results(self) -> Out[list[Any]]: ...

class _ForEach(OneOutput[list[Any]]):
    @property
    def results(self) -> Out[list[Any]]: ...

class _ForegroundMask(BuiltNode):
    @property
    def mask(self) -> Out[Mask]: ...
    @property
    def image(self) -> Out[Image]: ...

class _FormatText(OneOutput[str]):
    @property
    def text(self) -> Out[str]: ...

class _Formula(BuiltNode):
    @property
    def number(self) -> Out[float]: ...
    @property
    def integer(self) -> Out[int]: ...
    @property
    def truth(self) -> Out[bool]: ...

class _FrameRateConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _FreeU(OneOutput[DiffusionModel]):
    @property
    def model(self) -> Out[DiffusionModel]: ...

class _FrequencyGuider(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _Gate(OneOutput[Any]):
    @property
    def output(self) -> Out[Any]: ...

class _GenerateHostedText(OneOutput[str]):
    @property
    def text(self) -> Out[str]: ...

class _GenerateText(OneOutput[str]):
    @property
    def text(self) -> Out[str]: ...

class _GlowImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _GradientImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _GradientMap(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _GradientMask(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _GradualMask(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _Grayscale(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _GridSweep(BuiltNode):
    @property
    def image(self) -> Out[Image]: ...
    @property
    def images(self) -> Out[list[Any]]: ...

class _GroupLayers(OneOutput[Layers]):
    @property
    def layers(self) -> Out[Layers]: ...

class _GrowMask(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _GrowRegions(OneOutput[list[Region]]):
    @property
    def regions(self) -> Out[list[Region]]: ...

class _GuidanceConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _HighPass(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _HueSaturation(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _ImageConditioning(BuiltNode):
    @property
    def conditioning(self) -> Out[Conditioning]: ...
    @property
    def latent(self) -> Out[Latent]: ...

class _ImageDifference(BuiltNode):
    @property
    def image(self) -> Out[Image]: ...
    @property
    def rms(self) -> Out[float]: ...

class _ImageFromBatch(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _ImageGrid(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _ImageHistogram(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _ImageList(OneOutput[list[Image]]):
    @property
    def images(self) -> Out[list[Image]]: ...

class _ImageSize(BuiltNode):
    @property
    def width(self) -> Out[int]: ...
    @property
    def height(self) -> Out[int]: ...
    @property
    def batch(self) -> Out[int]: ...
    @property
    def channels(self) -> Out[int]: ...

class _ImageStatistics(BuiltNode):
    @property
    def mean(self) -> Out[float]: ...
    @property
    def deviation(self) -> Out[float]: ...
    @property
    def minimum(self) -> Out[float]: ...
    @property
    def maximum(self) -> Out[float]: ...
    @property
    def text(self) -> Out[str]: ...

class _ImageStrip(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _ImageToVideoConditioning(BuiltNode):
    @property
    def conditioning(self) -> Out[Conditioning]: ...
    @property
    def latent(self) -> Out[Latent]: ...

class _ImagesFromVideo(BuiltNode):
    @property
    def image(self) -> Out[Image]: ...
    @property
    def rate(self) -> Out[float]: ...
    @property
    def audio(self) -> Out[Audio]: ...

class _InjectNoise(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _InpaintConditioning(BuiltNode):
    @property
    def conditioning(self) -> Out[Conditioning]: ...
    @property
    def latent(self) -> Out[Latent]: ...

class _Integer(OneOutput[int]):
    @property
    def number(self) -> Out[int]: ...

class _InterpolateFrames(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _InterpolateVideo(OneOutput[Video]):
    @property
    def video(self) -> Out[Video]: ...

class _InvertImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _InvertMask(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _Item(OneOutput[Any]):
    @property
    def output(self) -> Out[Any]: ...

class _JoinAudio(OneOutput[Audio]):
    @property
    def audio(self) -> Out[Audio]: ...

class _JoinChannels(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _JoinDatasets(OneOutput[Dataset]):
    @property
    def dataset(self) -> Out[Dataset]: ...

class _JoinImages(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _JoinLatents(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _JoinPlots(OneOutput[Plot]):
    @property
    def plot(self) -> Out[Plot]: ...

class _JoinSchedules(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _JoinTexts(OneOutput[str]):
    @property
    def text(self) -> Out[str]: ...

class _JoinTiles(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _KSampler(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _KSamplerAdvanced(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _KarrasSchedule(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _KeepMaskParts(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _KeyValueCache(OneOutput[DiffusionModel]):
    @property
    def model(self) -> Out[DiffusionModel]: ...

class _KeyframeConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _LTXSchedule(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _LabelDistribution(BuiltNode):
    @property
    def plot(self) -> Out[Plot]: ...
    @property
    def card(self) -> Out[str]: ...
    @property
    def labels(self) -> Out[list[str]]: ...
    @property
    def shares(self) -> Out[list[float]]: ...

class _LaplaceSchedule(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _LatentFramesToBatch(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _LatentFromBatch(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _LatentList(OneOutput[list[Latent]]):
    @property
    def latents(self) -> Out[list[Latent]]: ...

class _LatentNoise(OneOutput[Noise]):
    @property
    def noise(self) -> Out[Noise]: ...

class _LatentStatistics(BuiltNode):
    @property
    def mean(self) -> Out[float]: ...
    @property
    def deviation(self) -> Out[float]: ...
    @property
    def least(self) -> Out[float]: ...
    @property
    def largest(self) -> Out[float]: ...

class _LayersFromImages(OneOutput[Layers]):
    @property
    def layers(self) -> Out[Layers]: ...

class _Length(OneOutput[int]):
    @property
    def number(self) -> Out[int]: ...

class _LimitGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _LineArt(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _Lines(OneOutput[list[str]]):
    @property
    def texts(self) -> Out[list[str]]: ...

class _List(OneOutput[list[Any]]):
    @property
    def output(self) -> Out[list[Any]]: ...

class _ListedSchedule(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _LoadAudio(OneOutput[Audio]):
    @property
    def audio(self) -> Out[Audio]: ...

class _LoadClassifier(OneOutput[Classifier]):
    @property
    def classifier(self) -> Out[Classifier]: ...

class _LoadConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _LoadControlNet(OneOutput[ControlNet]):
    @property
    def control_net(self) -> Out[ControlNet]: ...

class _LoadDataset(BuiltNode):
    @property
    def dataset(self) -> Out[Dataset]: ...
    @property
    def skipped(self) -> Out[str]: ...

class _LoadDiffusionModel(OneOutput[DiffusionModel]):
    @property
    def model(self) -> Out[DiffusionModel]: ...

class _LoadEncoderLora(OneOutput[TextEncoder]):
    @property
    def text_encoder(self) -> Out[TextEncoder]: ...

class _LoadFrameInterpolationModel(OneOutput[FrameInterpolationModel]):
    @property
    def model(self) -> Out[FrameInterpolationModel]: ...

class _LoadGLIGEN(OneOutput[GLIGEN]):
    @property
    def gligen(self) -> Out[GLIGEN]: ...

class _LoadIPAdapter(OneOutput[IPAdapter]):
    @property
    def ip_adapter(self) -> Out[IPAdapter]: ...

class _LoadImage(BuiltNode):
    @property
    def image(self) -> Out[Image]: ...
    @property
    def mask(self) -> Out[Mask]: ...

class _LoadImageBase64(BuiltNode):
    @property
    def image(self) -> Out[Image]: ...
    @property
    def mask(self) -> Out[Mask]: ...

class _LoadImageEncoder(OneOutput[ImageEncoder]):
    @property
    def image_encoder(self) -> Out[ImageEncoder]: ...

class _LoadImageFrames(BuiltNode):
    @property
    def image(self) -> Out[Image]: ...
    @property
    def mask(self) -> Out[Mask]: ...
    @property
    def rate(self) -> Out[float]: ...

class _LoadImages(BuiltNode):
    @property
    def images(self) -> Out[list[Image]]: ...
    @property
    def masks(self) -> Out[list[Mask]]: ...
    @property
    def names(self) -> Out[list[str]]: ...

class _LoadLanguageModel(OneOutput[LanguageModel]):
    @property
    def language_model(self) -> Out[LanguageModel]: ...

class _LoadLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _LoadLatentUpscaleModel(OneOutput[LatentUpscaleModel]):
    @property
    def model(self) -> Out[LatentUpscaleModel]: ...

class _LoadLayers(OneOutput[Layers]):
    @property
    def layers(self) -> Out[Layers]: ...

class _LoadLora(BuiltNode):
    @property
    def model(self) -> Out[DiffusionModel]: ...
    @property
    def text_encoder(self) -> Out[TextEncoder]: ...

class _LoadMask(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _LoadMesh(OneOutput[Mesh]):
    @property
    def mesh(self) -> Out[Mesh]: ...

class _LoadModel(BuiltNode):
    @property
    def model(self) -> Out[DiffusionModel]: ...
    @property
    def text_encoder(self) -> Out[TextEncoder]: ...
    @property
    def vae(self) -> Out[Vae]: ...

class _LoadMolecule(OneOutput[Molecule]):
    @property
    def molecule(self) -> Out[Molecule]: ...

class _LoadPlot(OneOutput[Plot]):
    @property
    def plot(self) -> Out[Plot]: ...

class _LoadPointCloud(OneOutput[PointCloud]):
    @property
    def point_cloud(self) -> Out[PointCloud]: ...

class _LoadRedux(OneOutput[ImageEncoder]):
    @property
    def redux(self) -> Out[ImageEncoder]: ...

class _LoadText(OneOutput[str]):
    @property
    def text(self) -> Out[str]: ...

class _LoadTextEncoder(OneOutput[TextEncoder]):
    @property
    def text_encoder(self) -> Out[TextEncoder]: ...

class _LoadTextualInversion(OneOutput[TextEncoder]):
    @property
    def text_encoder(self) -> Out[TextEncoder]: ...

class _LoadUpscaleModel(OneOutput[UpscaleModel]):
    @property
    def model(self) -> Out[UpscaleModel]: ...

class _LoadVae(OneOutput[Vae]):
    @property
    def vae(self) -> Out[Vae]: ...

class _LoadVideo(OneOutput[Video]):
    @property
    def video(self) -> Out[Video]: ...

class _LoadVisionModel(OneOutput[VisionModel]):
    @property
    def vision_model(self) -> Out[VisionModel]: ...

class _Logic(OneOutput[bool]):
    @property
    def value(self) -> Out[bool]: ...

class _LogitNormalSchedule(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _LoraConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _MagCache(OneOutput[DiffusionModel]):
    @property
    def model(self) -> Out[DiffusionModel]: ...

class _MagicWand(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _MagnitudeGuider(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _MaskBounds(BuiltNode):
    @property
    def x(self) -> Out[int]: ...
    @property
    def y(self) -> Out[int]: ...
    @property
    def width(self) -> Out[int]: ...
    @property
    def height(self) -> Out[int]: ...
    @property
    def share(self) -> Out[float]: ...

class _MaskConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _MaskFromBoxes(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _MaskFromChannel(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _MaskFromColor(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _MaskOverlay(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _MaskRegions(OneOutput[list[Region]]):
    @property
    def regions(self) -> Out[list[Region]]: ...

class _MaskToImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _MatchColors(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _MatchFirstFrames(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _MergeModels(OneOutput[DiffusionModel]):
    @property
    def model(self) -> Out[DiffusionModel]: ...

class _MergeTextEncoders(OneOutput[TextEncoder]):
    @property
    def text_encoder(self) -> Out[TextEncoder]: ...

class _MeshFromVoxels(OneOutput[Mesh]):
    @property
    def mesh(self) -> Out[Mesh]: ...

class _MeshTurntable(OneOutput[Video]):
    @property
    def video(self) -> Out[Video]: ...

class _MixAudio(OneOutput[Audio]):
    @property
    def audio(self) -> Out[Audio]: ...

class _MixNoise(OneOutput[Noise]):
    @property
    def noise(self) -> Out[Noise]: ...

class _ModelConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _MoleculeConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _MoleculeFromSmiles(OneOutput[Molecule]):
    @property
    def molecule(self) -> Out[Molecule]: ...

class _MoleculeProperties(BuiltNode):
    @property
    def logp(self) -> Out[float]: ...
    @property
    def qed(self) -> Out[float]: ...
    @property
    def rings(self) -> Out[int]: ...
    @property
    def atoms(self) -> Out[int]: ...
    @property
    def mass(self) -> Out[float]: ...

class _MoleculeStatistics(BuiltNode):
    @property
    def text(self) -> Out[str]: ...
    @property
    def distinct(self) -> Out[float]: ...
    @property
    def novel(self) -> Out[float]: ...
    @property
    def plot(self) -> Out[Plot]: ...

class _MorphImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _MotionConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _NegativeModel(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _NoNoise(OneOutput[Noise]):
    @property
    def noise(self) -> Out[Noise]: ...

class _NoiseImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _NormGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _NormalMap(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _Number(OneOutput[float]):
    @property
    def number(self) -> Out[float]: ...

class _NumberList(OneOutput[list[float]]):
    @property
    def numbers(self) -> Out[list[float]]: ...

class _NumberRange(OneOutput[list[float]]):
    @property
    def numbers(self) -> Out[list[float]]: ...

class _PadForOutpaint(BuiltNode):
    @property
    def image(self) -> Out[Image]: ...
    @property
    def mask(self) -> Out[Mask]: ...

class _PadImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _PasteRegions(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _PathParts(BuiltNode):
    @property
    def folder(self) -> Out[str]: ...
    @property
    def name(self) -> Out[str]: ...
    @property
    def stem(self) -> Out[str]: ...
    @property
    def suffix(self) -> Out[str]: ...

class _PatternImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _PerturbedAttentionGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _PickJson(OneOutput[Any]):
    @property
    def output(self) -> Out[Any]: ...

class _PixelateImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _PlotBetas(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _PlotSchedule(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _PlotValues(OneOutput[Plot]):
    @property
    def plot(self) -> Out[Plot]: ...

class _PointsFromMesh(OneOutput[PointCloud]):
    @property
    def point_cloud(self) -> Out[PointCloud]: ...

class _PolyexponentialSchedule(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _PositiveBiasedGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _PosterizeImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _PredictImage(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _PredictOnce(BuiltNode):
    @property
    def clean(self) -> Out[Latent]: ...
    @property
    def noise(self) -> Out[Latent]: ...
    @property
    def positive(self) -> Out[Latent]: ...
    @property
    def negative(self) -> Out[Latent]: ...
    @property
    def difference(self) -> Out[Latent]: ...

class _Preprocess(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _PreviewImage(BuiltNode): ...

class _PreviewPlot(BuiltNode): ...

class _ProjectedGuider(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _QuantizeImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _QuantizeModel(OneOutput[DiffusionModel]):
    @property
    def model(self) -> Out[DiffusionModel]: ...

class _RandomNoise(OneOutput[Noise]):
    @property
    def noise(self) -> Out[Noise]: ...

class _RandomNumber(BuiltNode):
    @property
    def number(self) -> Out[float]: ...
    @property
    def integer(self) -> Out[int]: ...

class _RandomPrompt(OneOutput[str]):
    @property
    def text(self) -> Out[str]: ...

class _Range(OneOutput[list[int]]):
    @property
    def numbers(self) -> Out[list[int]]: ...

class _ReadWatermark(BuiltNode):
    @property
    def detected(self) -> Out[bool]: ...
    @property
    def payload(self) -> Out[int]: ...
    @property
    def strength(self) -> Out[float]: ...
    @property
    def scale(self) -> Out[float]: ...

class _ReferenceLatents(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _ReferenceToVideoConditioning(BuiltNode):
    @property
    def conditioning(self) -> Out[Conditioning]: ...
    @property
    def latent(self) -> Out[Latent]: ...

class _RefineMask(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _RegionsFromMask(OneOutput[list[Region]]):
    @property
    def regions(self) -> Out[list[Region]]: ...

class _RegionsMask(BuiltNode):
    @property
    def mask(self) -> Out[Mask]: ...
    @property
    def masks(self) -> Out[list[Mask]]: ...

class _RemoveBackground(BuiltNode):
    @property
    def image(self) -> Out[Image]: ...
    @property
    def mask(self) -> Out[Mask]: ...

class _RemoveDuplicates(BuiltNode):
    @property
    def dataset(self) -> Out[Dataset]: ...
    @property
    def removed(self) -> Out[Dataset]: ...
    @property
    def report(self) -> Out[str]: ...
    @property
    def plot(self) -> Out[Plot]: ...

class _RemoveFrameGuides(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _RenormalizeGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _ReorderList(OneOutput[list[Any]]):
    @property
    def output(self) -> Out[list[Any]]: ...

class _Repeat(BuiltNode):
    @property
    def state(self) -> Out[Any]: ...
    @property
    def states(self) -> Out[list[Any]]: ...

class _RepeatExamples(OneOutput[Dataset]):
    @property
    def dataset(self) -> Out[Dataset]: ...

class _RepeatImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _RepeatItems(OneOutput[list[Any]]):
    @property
    def output(self) -> Out[list[Any]]: ...

class _RepeatLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _ReplaceLatentFrames(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _ReplaceText(OneOutput[str]):
    @property
    def text(self) -> Out[str]: ...

class _ResampleAudio(OneOutput[Audio]):
    @property
    def audio(self) -> Out[Audio]: ...

class _RescaleGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _ResizeDataset(OneOutput[Dataset]):
    @property
    def dataset(self) -> Out[Dataset]: ...

class _ResizeImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _ResizeLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _ResizeMask(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _Resolution(BuiltNode):
    @property
    def width(self) -> Out[int]: ...
    @property
    def height(self) -> Out[int]: ...

class _ReviseConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _RotateImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _RotateLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _Round(OneOutput[int]):
    @property
    def number(self) -> Out[int]: ...

class _SDTurboSchedule(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _SampleCustom(BuiltNode):
    @property
    def latent(self) -> Out[Latent]: ...
    @property
    def denoised(self) -> Out[Latent]: ...

class _SampleDecoder(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _SampleDiffusionForcing(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _SaveAnimation(BuiltNode): ...

class _SaveAudio(BuiltNode): ...

class _SaveDataset(BuiltNode): ...

class _SaveImage(BuiltNode): ...

class _SaveLatent(BuiltNode): ...

class _SaveLayers(BuiltNode): ...

class _SaveMask(BuiltNode): ...

class _SaveMesh(BuiltNode): ...

class _SaveModel(BuiltNode): ...

class _SaveMolecule(BuiltNode): ...

class _SavePlot(BuiltNode): ...

class _SavePointCloud(BuiltNode): ...

class _SaveText(BuiltNode): ...

class _SaveTextEncoder(BuiltNode): ...

class _SaveVae(BuiltNode): ...

class _SaveVideo(BuiltNode): ...

class _SaveWeights(BuiltNode): ...

class _ScaleAttention(OneOutput[DiffusionModel]):
    @property
    def model(self) -> Out[DiffusionModel]: ...

class _ScaleEncoderAttention(OneOutput[TextEncoder]):
    @property
    def text_encoder(self) -> Out[TextEncoder]: ...

class _ScaleImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _ScaleNoise(OneOutput[Noise]):
    @property
    def noise(self) -> Out[Noise]: ...

class _ScaleSchedule(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _Scan(BuiltNode):
    @property
    def state(self) -> Out[Any]: ...
    @property
    def results(self) -> Out[list[Any]]: ...

class _ScheduleFromList(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _ScheduleLevels(OneOutput[list[float]]):
    @property
    def numbers(self) -> Out[list[float]]: ...

class _Scribble(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _SecondExpertCfg(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _Seed(OneOutput[int]):
    @property
    def number(self) -> Out[int]: ...

class _SeedFromText(OneOutput[int]):
    @property
    def number(self) -> Out[int]: ...

class _SeedRange(OneOutput[list[int]]):
    @property
    def numbers(self) -> Out[list[int]]: ...

class _SegmentAnything(BuiltNode):
    @property
    def mask(self) -> Out[Mask]: ...
    @property
    def score(self) -> Out[float]: ...

class _SegmentByText(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _SegmentClass(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _SegmentRegions(BuiltNode):
    @property
    def mask(self) -> Out[Mask]: ...
    @property
    def masks(self) -> Out[Mask]: ...

class _Select(OneOutput[Any]):
    @property
    def output(self) -> Out[Any]: ...

class _SelectByBox(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _SelectByPoints(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _SelectGuider(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _SelectPreprocessor(OneOutput[Preprocessor]):
    @property
    def preprocessor(self) -> Out[Preprocessor]: ...

class _SelectSampler(OneOutput[Sampler]):
    @property
    def sampler(self) -> Out[Sampler]: ...

class _SelectSuperpixels(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _SelfAttentionGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _SetAlpha(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _SetCaptions(OneOutput[Dataset]):
    @property
    def dataset(self) -> Out[Dataset]: ...

class _SetFirstLevel(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _SetFlowShift(OneOutput[DiffusionModel]):
    @property
    def model(self) -> Out[DiffusionModel]: ...

class _SetFlowShiftBySize(OneOutput[DiffusionModel]):
    @property
    def model(self) -> Out[DiffusionModel]: ...

class _SetItemSeeds(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _SetNoiseMask(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _SetPrediction(OneOutput[DiffusionModel]):
    @property
    def model(self) -> Out[DiffusionModel]: ...

class _SetSoundShift(OneOutput[DiffusionModel]):
    @property
    def model(self) -> Out[DiffusionModel]: ...

class _SetVideoAudio(OneOutput[Video]):
    @property
    def video(self) -> Out[Video]: ...

class _ShadowsHighlights(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _ShapeConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _ShapeMask(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _SharpenGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _SharpenImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _SharpenLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _ShiftImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _ShowValue(BuiltNode): ...

class _SizeConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _SkipLayerGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _Slice(OneOutput[list[Any]]):
    @property
    def output(self) -> Out[list[Any]]: ...

class _SmilesFromMolecule(OneOutput[str]):
    @property
    def text(self) -> Out[str]: ...

class _SmoothedEnergyGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _SoftEdges(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _SolidMask(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _SortRegions(BuiltNode):
    @property
    def regions(self) -> Out[list[Region]]: ...
    @property
    def others(self) -> Out[list[Region]]: ...

class _SoundConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _SpanConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _SpeedUp(OneOutput[DiffusionModel]):
    @property
    def model(self) -> Out[DiffusionModel]: ...

class _SplitChannels(BuiltNode):
    @property
    def first(self) -> Out[Image]: ...
    @property
    def second(self) -> Out[Image]: ...
    @property
    def third(self) -> Out[Image]: ...

class _SplitDataset(OneOutput[Dataset]):
    @property
    def dataset(self) -> Out[Dataset]: ...

class _SplitSchedule(BuiltNode):
    @property
    def high(self) -> Out[Schedule]: ...
    @property
    def low(self) -> Out[Schedule]: ...

class _SplitScheduleAtDenoise(BuiltNode):
    @property
    def high(self) -> Out[Schedule]: ...
    @property
    def low(self) -> Out[Schedule]: ...

class _SplitSoundLatent(BuiltNode):
    @property
    def video(self) -> Out[Latent]: ...
    @property
    def sound(self) -> Out[Latent]: ...

class _SplitText(OneOutput[list[str]]):
    @property
    def texts(self) -> Out[list[str]]: ...

class _SplitTiles(BuiltNode):
    @property
    def tiles(self) -> Out[list[Image]]: ...
    @property
    def tiling(self) -> Out[Tiling]: ...

class _SplitView(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _StageBConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _StitchCrop(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _StitchImages(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _StrengthConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _Superpixels(BuiltNode):
    @property
    def image(self) -> Out[Image]: ...
    @property
    def borders(self) -> Out[Mask]: ...

class _Switch(OneOutput[Any]):
    @property
    def output(self) -> Out[Any]: ...

class _TagImage(BuiltNode):
    @property
    def tags(self) -> Out[str]: ...
    @property
    def all_tags(self) -> Out[list[str]]: ...
    @property
    def rating(self) -> Out[str]: ...

class _TakeExamples(OneOutput[Dataset]):
    @property
    def dataset(self) -> Out[Dataset]: ...

class _TangentialGuider(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _TaylorSeerCache(OneOutput[DiffusionModel]):
    @property
    def model(self) -> Out[DiffusionModel]: ...

class _Text(OneOutput[str]):
    @property
    def text(self) -> Out[str]: ...

class _TextBoxConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _TextLength(OneOutput[int]):
    @property
    def number(self) -> Out[int]: ...

class _TextualInversion(BuiltNode):
    @property
    def text_encoder(self) -> Out[TextEncoder]: ...
    @property
    def weights(self) -> Out[TrainedWeights]: ...
    @property
    def losses(self) -> Out[Plot]: ...

class _ThresholdGuider(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _ThresholdImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _ThresholdMask(OneOutput[Mask]):
    @property
    def mask(self) -> Out[Mask]: ...

class _TileHint(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _TileImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _TileRegions(OneOutput[list[Region]]):
    @property
    def regions(self) -> Out[list[Region]]: ...

class _TiledGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _Timesteps(OneOutput[list[int]]):
    @property
    def numbers(self) -> Out[list[int]]: ...

class _ToInteger(OneOutput[int]):
    @property
    def number(self) -> Out[int]: ...

class _ToNumber(OneOutput[float]):
    @property
    def number(self) -> Out[float]: ...

class _ToText(OneOutput[str]):
    @property
    def text(self) -> Out[str]: ...

class _Today(OneOutput[str]):
    @property
    def text(self) -> Out[str]: ...

class _ToneMapGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _ToneMapLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _TrackConditioning(BuiltNode):
    @property
    def conditioning(self) -> Out[Conditioning]: ...
    @property
    def latent(self) -> Out[Latent]: ...

class _TrainClassifier(BuiltNode):
    @property
    def classifier(self) -> Out[TrainedWeights]: ...
    @property
    def accuracy(self) -> Out[float]: ...
    @property
    def losses(self) -> Out[Plot]: ...

class _TrainControlNet(BuiltNode):
    @property
    def control_net(self) -> Out[ControlNet]: ...
    @property
    def weights(self) -> Out[TrainedWeights]: ...
    @property
    def losses(self) -> Out[Plot]: ...

class _TrainLoRA(BuiltNode):
    @property
    def model(self) -> Out[DiffusionModel]: ...
    @property
    def text_encoder(self) -> Out[TextEncoder]: ...
    @property
    def weights(self) -> Out[TrainedWeights]: ...
    @property
    def losses(self) -> Out[Plot]: ...

class _TrainingSettings(OneOutput[TrainingOptions]):
    @property
    def training_options(self) -> Out[TrainingOptions]: ...

class _TrimAudio(OneOutput[Audio]):
    @property
    def audio(self) -> Out[Audio]: ...

class _TrimVideo(OneOutput[Video]):
    @property
    def video(self) -> Out[Video]: ...

class _UniqueItems(OneOutput[list[Any]]):
    @property
    def output(self) -> Out[list[Any]]: ...

class _UpscaleImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _UpscaleLatent(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _VAEDecode(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _VAEDecodeAudio(OneOutput[Audio]):
    @property
    def audio(self) -> Out[Audio]: ...

class _VAEDecodeMesh(OneOutput[list[Mesh]]):
    @property
    def meshs(self) -> Out[list[Mesh]]: ...

class _VAEDecodeVideo(OneOutput[Video]):
    @property
    def video(self) -> Out[Video]: ...

class _VAEDecodeViews(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _VAEEncode(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _VAEEncodeAudio(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _VAEEncodeInpaint(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _VAEEncodeVideo(OneOutput[Latent]):
    @property
    def latent(self) -> Out[Latent]: ...

class _VPSchedule(OneOutput[Schedule]):
    @property
    def schedule(self) -> Out[Schedule]: ...

class _VaceConditioning(BuiltNode):
    @property
    def conditioning(self) -> Out[Conditioning]: ...
    @property
    def latent(self) -> Out[Latent]: ...
    @property
    def references(self) -> Out[int]: ...

class _ValenceGuidance(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class _VideoFromImages(OneOutput[Video]):
    @property
    def video(self) -> Out[Video]: ...

class _Vignette(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _VoxelsFromMask(OneOutput[Voxels]):
    @property
    def voxels(self) -> Out[Voxels]: ...

class _WarpImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _WatchTraining(OneOutput[TrainingSamples]):
    @property
    def training_samples(self) -> Out[TrainingSamples]: ...

class _WatermarkImage(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _While(BuiltNode):
    @property
    def state(self) -> Out[Any]: ...
    @property
    def iterations(self) -> Out[int]: ...

class _WhiteBalance(OneOutput[Image]):
    @property
    def image(self) -> Out[Image]: ...

class _ZeroOutConditioning(OneOutput[Conditioning]):
    @property
    def conditioning(self) -> Out[Conditioning]: ...

class _ZeroStarGuider(OneOutput[Guider]):
    @property
    def guider(self) -> Out[Guider]: ...

class BuiltinNodes:
    """Node types as methods."""

    def AdaptiveGuider(
        self,
        _name: str | None = None,
        /,
        *,
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        cfg: float | Link[float] = 7.0,
        threshold: float | Link[float] = 0.99,
    ) -> _AdaptiveGuider:
        """Adaptive guidance: stops when guidance has no more effect, and saves up to half the time.

        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        threshold: Cosine similarity of both predictions at which guidance stops. From there on only the positive prompt is evaluated. At 1 guidance never stops.
        """

    def AddFrameGuide(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        image: Link[Image] | _Picture | Sequence[_Picture],
        frame: int | Link[int] = 0,
        strength: float | Link[float] = 1.0,
        append: bool | Link[bool] = False,
    ) -> _AddFrameGuide:
        """Guide a frame of an LTX-2 video with an image, or several frames with a clip.

        Use it once per image: for the first frame, the last one, or any frame between. Link the latent
        of the last one to the sampler. The sampled latent keeps the guides; RemoveFrameGuides and
        UpscaleLatent remove them.

        latent: The latent of a video, empty or sampled.
        vae: The VAE of the model.
        image: One image, or the frames of a clip. They are scaled to the size of the video, and their edges are cropped. A clip is cut to a multiple of 8 frames plus 1, and at the end of the video.
        frame: Frame that the guide begins at, from 0. Negative numbers count from the end: -1 is the last frame. A clip begins at 0 or at a multiple of 8 plus 1.
        strength: At 1 the model gets the guide without noise and does not change it. Lower values let the model change it.
        append: Give the model a guide at frame 0 beside the video, for the control videos of IC-LoRAs. If off, it replaces the first frames. Other guides are always beside.
        """

    def AddGrain(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        strength: float | Link[float] = 0.08,
        size: float | Link[float] = 1.0,
        seed: int | Link[int] = 0,
        in_color: bool | Link[bool] = False,
    ) -> _AddGrain:
        """Add film grain to images.

        image: The images. Each image of a batch gets different grain.
        strength: Strength of the grain in midtones.
        size: Size of the grains in pixels.
        seed: Random seed of the grain.
        in_color: Color grain instead of gray.
        """

    def AddImageNoise(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        strength: float | Link[float] = 0.5,
        seed: int | Link[int] = 0,
        draw: Literal['per item', 'per batch'] | Link[str] = 'per item',
    ) -> _AddImageNoise:
        """Add Gaussian noise of the same strength to all colors. For film grain, use AddGrain.

        image: Images of any size.
        strength: Standard deviation of the noise. Results are clamped to 0 and 1.
        seed: Random seed of the noise of the first image. Each following image uses the next seed.
        draw: With per batch, the noise of all images is drawn from the seed at once, as in ComfyUI.
        """

    def AddLatents(
        self,
        _name: str | None = None,
        /,
        *,
        first: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        second: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        scale: float | Link[float] = 1.0,
    ) -> _AddLatents:
        """Add a scaled latent to another.

        first: The latent to add to.
        second: A latent of the same size and model.
        scale: Factor on the second. -1 subtracts it.
        """

    def AddLayer(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        layers: Link[Layers] | None = None,
        mask: Link[Mask] | _Picture | Sequence[_Picture] | None = None,
        box: Link[CanvasBox] | None = None,
        x: int | Link[int] = 0,
        y: int | Link[int] = 0,
        width: int | Link[int] = 0,
        height: int | Link[int] = 0,
        rotation: float | Link[float] = 0.0,
        opacity: float | Link[float] = 1.0,
        mode: _mode | Link[str] = 'normal',
        visible: bool | Link[bool] = True,
        name: str | Link[str] = '',
    ) -> _AddLayer:
        """Add an image as the top layer. Layers lie on a canvas without borders.

        To see the result, use FlattenLayers.

        image: Picture of the layer. Its alpha is used. Of a batch, the first image is used.
        layers: The layers below. If not linked, this is the first layer.
        mask: Area where the layer is visible: 1 shows it. It is scaled to the image.
        box: Place the image in this box, and scale it to the box. Then x, y, width and height are not used.
        x: Upper left corner before the rotation, in pixels of the canvas.
        y: Upper left corner before the rotation, in pixels of the canvas.
        width: Size that the image is scaled to. 0 keeps the size of the image.
        height: Size that the image is scaled to. 0 keeps the size of the image.
        rotation: Rotation in degrees, clockwise about the center.
        opacity: Opacity of the layer.
        mode: Blend mode, as in Photoshop and CSS.
        visible: Hidden layers are kept, but not shown.
        name: Name of the layer.
        """

    def AddNegative(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        scale: float | Link[float] = 1.0,
        perpendicular: bool | Link[bool] = False,
        start: float | Link[float] = 0.0,
        end: float | Link[float] = 1.0,
    ) -> _AddNegative:
        """Add a second negative prompt with a separate scale.

        guider: The guider to extend.
        negative: Prompt for what the image should avoid.
        scale: Scale of this guidance.
        perpendicular: Use only the part that is perpendicular to the positive prompt (Perp-Neg).
        start: Part of the sampling in which it applies, 0 to 1.
        end: Part of the sampling in which it applies, 0 to 1.
        """

    def AddNoise(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        timestep: int | Link[int] = 500,
        seed: int | Link[int] = 0,
    ) -> _AddNoise:
        """Add noise of a training timestep to a latent (forward diffusion).

        model: The model whose noise schedule is used.
        latent: The latent of an image.
        timestep: 0 is nearly clean. The last timestep, usually 999, is nearly pure noise.
        seed: Seed of the noise of the first item. Each following item uses the next seed.
        """

    def AddScheduleNoise(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        noise: Link[Noise],
        schedule: Link[Schedule],
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        convention: Literal['diffusers', 'comfyui'] | Link[str] = 'diffusers',
    ) -> _AddScheduleNoise:
        """Add the noise of a schedule to a latent: that between its first and its last level.

        SampleCustom with NoNoise and the same schedule then removes it.

        model: The model whose noise levels are used.
        noise: The noise to add.
        schedule: The noise schedule. If it ends at 0, the noise has its first level.
        latent: The latent of an image or video.
        convention: As for KSampler.
        """

    def AdjustCurves(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        points: str | Link[str] = '0,0 0.25,0.18 0.75,0.82 1,1',
        channel: Literal['all', 'red', 'green', 'blue'] | Link[str] = 'all',
    ) -> _AdjustCurves:
        """Adjust tones by a smooth curve through points.

        image: Images of any size.
        points: Input and output value of each point, from 0 to 1, for example 0,0 0.5,0.6 1,1. The curve does not overshoot the points.
        channel: All channels, or a single one.
        """

    def AdjustExposure(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        stops: float | Link[float] = 0.0,
        gamma: float | Link[float] = 1.0,
    ) -> _AdjustExposure:
        """Change the exposure of images, and their midtones by a gamma curve.

        image: Images of any size.
        stops: Each stop doubles the light. Negative stops halve it.
        gamma: Values above 1 brighten midtones, values below 1 darken them. Black and white do not change.
        """

    def AdjustLevels(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        black: float | Link[float] = 0.0,
        white: float | Link[float] = 1.0,
        gamma: float | Link[float] = 1.0,
        output_black: float | Link[float] = 0.0,
        output_white: float | Link[float] = 1.0,
        channel: Literal['all', 'red', 'green', 'blue'] | Link[str] = 'all',
    ) -> _AdjustLevels:
        """Set the black point, the white point and the gamma between them.

        image: Images of any size.
        black: This value and all below become black.
        white: This value and all above become white.
        gamma: Values above 1 brighten midtones, values below 1 darken them.
        output_black: Output value of black.
        output_white: Output value of white. A value below output_black gives a negative.
        channel: All channels, or a single one.
        """

    def AllPrompts(
        self,
        _name: str | None = None,
        /,
        *,
        text: str | Link[str],
        most: int | Link[int] = 1000,
        syntax: Literal['dynamic prompts', 'comfyui'] | Link[str] = 'dynamic prompts',
    ) -> _AllPrompts:
        """Return all prompts that RandomPrompt could draw. A node that is linked to them runs for each.

        text: The template, as for RandomPrompt. Weights are ignored, except weights of 0.
        most: Maximum number of prompts. More are an error.
        syntax: As for RandomPrompt.
        """

    def AmplifyAudio(
        self,
        _name: str | None = None,
        /,
        *,
        audio: Link[Audio] | _values.Audio | Sequence[_values.Audio],
        decibels: float | Link[float] = 0.0,
        normalize: bool | Link[bool] = False,
    ) -> _AmplifyAudio:
        """Make audio louder or softer.

        audio: The audio to change.
        decibels: Gain. 6 doubles the sample values, -6 halves them.
        normalize: First scale the audio so that its loudest sample is 1.
        """

    def AnimationConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        image: Link[Image] | _Picture | Sequence[_Picture],
        pose: Link[Image] | _Picture | Sequence[_Picture],
        face: Link[Image] | _Picture | Sequence[_Picture],
        frames: int | Link[int] = 77,
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder] | None = None,
        image_encoder: Link[ImageEncoder] | _values.ImageEncoder | Sequence[_values.ImageEncoder] | None = None,
        background: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        mask: Link[Mask] | _Picture | Sequence[_Picture] | None = None,
        previous: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        start: int | Link[int] = 0,
        overlap: int | Link[int] = 1,
    ) -> _AnimationConditioning:
        """Animate a character by the poses and the face of a video, for Wan Animate.

        The latent is empty and has the size of the image. Generate a long video in segments: link the
        decoded frames of one segment as `previous` of the next, and its `next_start` as `start`. Each
        segment but the first begins with `overlap` frames of the one before; ImageFromBatch removes
        them.

        conditioning: The prompt. A negative prompt does not need this node: its face is black.
        vae: The VAE of the model.
        image: One image of the character, of the size of the video. Use ResizeImage before this node.
        pose: The whole video of poses, of the same size, for example skeletons.
        face: The whole video of the face, of 512 x 512 pixels for the published model.
        frames: Number of frames of the segment: a multiple of 4 plus 1. A shorter pose or face video runs backwards after its end.
        encoder: The text encoder of the model, if it includes the image encoder.
        image_encoder: The image encoder that sees the character, from a file of its own: clip_vision_h.
        background: The whole video that the character is put into, of the same size. Link `mask`, too.
        mask: A mask for each frame of the background: white is generated, black is kept.
        previous: Frames of the segment before, of the same size. Leave it open for the first segment.
        start: Frame of the whole videos that the segment begins at.
        overlap: Number of frames that the segment has in common with the one before: 1 or 5.
        """

    def ApplyControlNet(
        self,
        _name: str | None = None,
        /,
        *,
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        control_net: Link[ControlNet] | _values.ControlNet | Sequence[_values.ControlNet],
        image: Link[Image] | _Picture | Sequence[_Picture],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae] | None = None,
        mask: Link[Mask] | _Picture | Sequence[_Picture] | None = None,
        inpaint_image: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        strength: float | Link[float] = 1.0,
        start: float | Link[float] = 0.0,
        end: float | Link[float] = 1.0,
        mode: _mode_ | Link[str] = 'none',
        guess: bool | Link[bool] = False,
        crop: bool | Link[bool] = False,
    ) -> _ApplyControlNet:
        """Control sampling by an image as well as by prompts: edges, depth, pose or others.

        The image is attached to the prompts. Chain several of these nodes to use several control
        images.

        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the default negative prompt is controlled and returned instead.
        control_net: A network from LoadControlNet, for models of the same family.
        image: A control image as the network expects it, for example white edges on black: one for all, or one for each sampled image. Other sizes are scaled to cover the latent's size and center-cropped. Networks that take latents need exactly the latent's size. For Cosmos Transfer2.5, the frames of a video that is not shorter than the sampled one.
        vae: VAE of the model, for networks that take latents: those of Stable Diffusion 3, Flux.1, Hunyuan-DiT, Qwen-Image, Z-Image and Cosmos Transfer2.5.
        mask: For networks that inpaint: the area where it is 1 is filled. It must be as large as the image.
        inpaint_image: For networks of Z-Image from version 2.0 on: the image that the mask is of, which is filled by the control image. It must be as large as that.
        strength: Strength of the control; 1 is as trained.
        start: Part of the sampling that is controlled, 0 to 1. A step counts if it lies completely inside.
        end: Part of the sampling that is controlled, 0 to 1. A step counts if it lies completely inside.
        mode: Kind of control image, for networks that support several (union).
        guess: Guess mode: control only the positive prompt, and more weakly in the first blocks of the model. For ControlNets of a UNet.
        crop: Center-crop image and mask to whole cells of the VAE, for networks that take latents. If off, other sizes are an error.
        """

    def ApplyIPAdapter(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        ip_adapter: Link[IPAdapter],
        image: Link[Image] | _Picture | Sequence[_Picture],
        mask: Link[Mask] | _Picture | Sequence[_Picture] | None = None,
        weight: float | Link[float] = 1.0,
    ) -> _ApplyIPAdapter:
        """Use images as prompts in addition to the text prompts, with an IP-Adapter.

        Send the model and all of its prompts through this node. Chain several nodes for separate image
        prompts. Each gets the model and prompts of the one before.

        model: The model to extend.
        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid; it gets no image. If not linked, the default negative prompt is returned.
        ip_adapter: An adapter from LoadIPAdapter, for models of this family.
        image: One image, or several that are used together. Each is center-cropped to a square and scaled down.
        mask: Area where the image prompt applies: values of 0.5 and above. One mask for all images, or one for each. Not linked means everywhere.
        weight: Strength. 1 is as trained, 0.5 leaves room for the text prompt.
        """

    def ApplyLut(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        path: str | Link[str],
        amount: float | Link[float] = 1.0,
    ) -> _ApplyLut:
        """Apply a color look-up table (LUT) from a file.

        image: Images of any size. The LUT is applied to the stored sRGB values.
        path: A .cube file, 1D or 3D. Relative paths start from the inputs folder.
        amount: Strength. 0 has no effect.
        """

    def ApplyRedux(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        redux: Link[ImageEncoder] | _values.ImageEncoder | Sequence[_values.ImageEncoder],
        image: Link[Image] | _Picture | Sequence[_Picture],
        strength: float | Link[float] = 1.0,
    ) -> _ApplyRedux:
        """Append the Redux tokens of images to a Flux.1 prompt, for image variations.

        conditioning: The prompt. An empty prompt leaves the result to the images.
        redux: The model from LoadRedux.
        image: One or several images. Each is scaled to a small square as a whole.
        strength: Factor for the image tokens. Lower values give the text more weight.
        """

    def ApplyWeights(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        weights: Link[TrainedWeights] | _training_values.TrainedWeights | Sequence[_training_values.TrainedWeights],
        strength: float | Link[float] = 1.0,
    ) -> _ApplyWeights:
        """Apply trained weights to a model, with adjustable strength.

        model: A model of the family that was trained.
        text_encoder: The text encoder of the same model. A trained word is added to it.
        weights: A LoRA, a full model, or a textual inversion.
        strength: Strength of a LoRA. 1 is the trained strength.
        """

    def AreaConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        x: float | Link[float] = 0.0,
        y: float | Link[float] = 0.0,
        width: float | Link[float] = 0.5,
        height: float | Link[float] = 1.0,
        unit: Literal['shares', 'pixels'] | Link[str] = 'shares',
        feather: float | Link[float] = 0.0,
        sampled: Literal['picture', 'area'] | Link[str] = 'picture',
    ) -> _AreaConditioning:
        """Limit a prompt to a rectangle of the image. Join several with CombineConditioning.

        Where no prompt applies, the empty prompt is used. If the prompt already has an area, it is
        limited to the intersection of both.

        conditioning: The prompt.
        x: Left edge of the rectangle.
        y: Top edge of the rectangle.
        width: Width of the rectangle.
        height: Height of the rectangle.
        unit: Unit of these values: shares of the image's width and height, or pixels.
        feather: Width of the fade-in at edges inside the image, as a share of the image's shorter side, or in pixels. If only the area is sampled, always in pixels.
        sampled: What the model sees: the whole image, or only the area, in whole latent cells, as in ComfyUI. With a control image it always sees the whole image.
        """

    def AttentionBroadcast(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        own: int | Link[int] = 2,
        cross: int | Link[int] = 3,
        noisiest: float | Link[float] = 0.8,
        cleanest: float | Link[float] = 0.1,
    ) -> _AttentionBroadcast:
        """Reuse attention outputs for several steps (Pyramid Attention Broadcast, arXiv:2408.12588).

        It works for all models, including UNets. The cache takes memory: the outputs of all attention
        layers.

        model: Model to change.
        own: Number of evaluations that use one self-attention output. 1 computes it each time.
        cross: The same for cross-attention, which changes less.
        noisiest: Where reuse starts, as a share of the training timesteps.
        cleanest: Where reuse ends, as a share of the training timesteps.
        """

    def AttentionMaps(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        text: str | Link[str] = '',
        levels: int | Link[int] = 4,
        scale: Literal['each word', 'all words'] | Link[str] = 'each word',
        seed: int | Link[int] = 0,
    ) -> _AttentionMaps:
        """Record cross-attention maps of a UNet for each word of a prompt.

        Noise of several levels is added to the image, and the model is evaluated at each. The maps are
        averaged over levels, layers and heads.

        model: A Stable Diffusion 1, 2 or XL model.
        encoder: The text encoder of the same model.
        latent: The latent of the image, sampled or from VAEEncode.
        text: The prompt.
        levels: Number of noise levels to evaluate.
        scale: Whether 1 is the maximum of each word, or the maximum of all words.
        seed: Seed of the noise.
        """

    def AudioStatistics(
        self,
        _name: str | None = None,
        /,
        *,
        audio: Link[Audio] | _values.Audio | Sequence[_values.Audio],
    ) -> _AudioStatistics:
        """Measure audio: duration, peak, loudness (LUFS), pitch, note and brightness.

        Peak is in decibels, 0 for a full-scale sine. Pitch is the median over all moments that have a
        pitch, and 0 if there is none. Brightness is the spectral centroid in Hz.

        audio: The audio. Pitch and note are only meaningful for a single instrument or voice.
        """

    def AugmentDataset(
        self,
        _name: str | None = None,
        /,
        *,
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        flip: float | Link[float] = 0.5,
        crop: float | Link[float] = 1.0,
        rotate: float | Link[float] = 0.0,
        brightness: float | Link[float] = 0.0,
        contrast: float | Link[float] = 0.0,
        saturation: float | Link[float] = 0.0,
        hue: float | Link[float] = 0.0,
        seed: int | Link[int] = 0,
        flip_vertical: float | Link[float] = 0.0,
        shuffle_tags: bool | Link[bool] = False,
        drop_caption: float | Link[float] = 0.0,
    ) -> _AugmentDataset:
        """Set random augmentations of training images. They differ in each epoch.

        dataset: The dataset. Its previous augmentations are replaced. Validation and test images are not changed.
        flip: Share of the images that are mirrored horizontally.
        crop: Smallest share of an image that is cropped out. 1 means no extra crop.
        rotate: Maximum rotation in degrees, in both directions.
        brightness: Maximum relative change of brightness, up or down.
        contrast: Maximum relative change of contrast, up or down.
        saturation: Maximum relative change of saturation, up or down.
        hue: Maximum hue shift in degrees, in both directions.
        seed: Random seed. The same seed gives the same changes.
        flip_vertical: Share of the images that are mirrored vertically.
        shuffle_tags: Shuffle tags if they are used as the caption.
        drop_caption: Share of the captions that are dropped, as classifier-free guidance requires.
        """

    def AutoContrast(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        method: Literal['stretch', 'stretch channels', 'equalize', 'local'] | Link[str] = 'stretch',
        cutoff: float | Link[float] = 0.005,
        limit: float | Link[float] = 3.0,
        tiles: int | Link[int] = 8,
    ) -> _AutoContrast:
        """Stretch or equalize tones to the full range from black to white.

        image: Images of any size.
        method: Stretch keeps colors; by channels, it also removes color casts. Equalize makes all brightness levels equally frequent. Local does so per tile (CLAHE).
        cutoff: For stretch: share of the pixels that may become black, and share that may become white.
        limit: For local: limit of the contrast gain.
        tiles: For local: number of tiles in each direction.
        """

    def AutoGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        weaker: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        scale: float | Link[float] = 1.0,
        start: float | Link[float] = 0.0,
        end: float | Link[float] = 1.0,
    ) -> _AutoGuidance:
        """Autoguidance: guidance away from a weaker model, for example a smaller or less trained one.

        Both models are in memory at once. With a BasicGuider, a scale of 1 equals a guidance scale of
        2.

        guider: The guider to extend.
        weaker: A weaker model of the same family, for example without a LoRA.
        scale: Scale of this guidance.
        start: Part of the sampling in which it applies, 0 to 1.
        end: Part of the sampling in which it applies, 0 to 1.
        """

    def AverageConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        first: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        second: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        share: float | Link[float] = 0.5,
        method: Literal['linear', 'spherical'] | Link[str] = 'linear',
    ) -> _AverageConditioning:
        """Interpolate between two prompts: their embeddings and pooled embeddings are blended.

        Prompts of different lengths are first brought to one length. Those of Stable Diffusion 1, 2 and
        XL are repeated, which does not change their meaning. For other models the shorter prompt is
        padded with zeros.

        first: The first prompt.
        second: The second prompt.
        share: Weight of the second prompt: 0 is only the first, 1 only the second.
        method: Linear interpolation, or spherical interpolation (slerp) between each pair of vectors.
        """

    def BasicGuider(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
    ) -> _BasicGuider:
        """Use a single prompt without guidance, for guidance-distilled models.

        conditioning: Prompt for what the image should show.
        """

    def BasicSchedule(
        self,
        _name: str | None = None,
        /,
        *,
        schedule: _schedule | Link[str] = 'karras',
        steps: int | Link[int] = 20,
        denoise: float | Link[float] = 1.0,
        denoise_steps: Literal['share', 'all'] | Link[str] = 'share',
        drop_last: bool | Link[bool] = False,
    ) -> _BasicSchedule:
        """Select a named noise schedule, as KSampler does.

        schedule: How the noise levels are spaced.
        steps: Number of steps of the whole schedule.
        denoise: Share of the schedule that is run, from its end: int(steps × denoise) steps.
        denoise_steps: How steps are counted when denoise is below 1. share: that share of the steps is run. all: all steps are run, as the last ones of a schedule of int(steps / denoise) steps, as in ComfyUI.
        drop_last: Add one step and drop the last level above 0, as ComfyUI's KSampler does for dpm_2, dpm_2_ancestral and uni_pc.
        """

    def BatchSeeds(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        seeds: Literal['same', 'different'] | Link[str] = 'same',
    ) -> _BatchSeeds:
        """Choose whether all items of a batch draw the same noise.

        latent: A batch.
        seeds: With same, all items draw the noise of the first one. With different, each draws noise by its position in the batch, as without this node; other seeds that its items had are removed.
        """

    def BetaSchedule(
        self,
        _name: str | None = None,
        /,
        *,
        steps: int | Link[int] = 20,
        alpha: float | Link[float] = 0.6,
        beta: float | Link[float] = 0.6,
    ) -> _BetaSchedule:
        """Beta noise schedule: levels at quantiles of a beta distribution over the model's timesteps.

        steps: Number of steps.
        alpha: Lower values place more levels at the clean end.
        beta: Lower values place more levels at the noisy end.
        """

    def BlendImages(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        other: Link[Image] | _Picture | Sequence[_Picture],
        mode: _mode | Link[str] = 'normal',
        opacity: float | Link[float] = 0.5,
        mask: Link[Mask] | _Picture | Sequence[_Picture] | None = None,
    ) -> _BlendImages:
        """Blend one image over another with a blend mode.

        image: The lower image.
        other: The upper image. If its size differs, it is scaled to cover the lower image and cropped.
        mode: Blend mode, as in Photoshop and CSS.
        opacity: Opacity of the upper image.
        mask: Area where the upper image is visible: 1 shows it. If not linked, it is visible everywhere.
        """

    def BlendLatents(
        self,
        _name: str | None = None,
        /,
        *,
        first: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        second: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        share: float | Link[float] = 0.5,
        method: Literal['spherical', 'linear'] | Link[str] = 'spherical',
    ) -> _BlendLatents:
        """Blend two latents, for example of two images.

        Sample the result with a low denoise to clean it.

        first: The latent of an image, or one with leftover noise.
        second: A latent of the same size and model. If one of the two is a single item, it is used for the whole batch.
        share: Share of the second: 0 is only the first, 1 is only the second.
        method: Spherical interpolates along an arc (slerp), which keeps contrast and the variance of noise. Linear is the weighted mean.
        """

    def BlurImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        radius: float | Link[float] = 4.0,
        kind: Literal['gaussian', 'box', 'motion', 'median', 'surface'] | Link[str] = 'gaussian',
        angle: float | Link[float] = 0.0,
        edge: float | Link[float] = 0.1,
    ) -> _BlurImage:
        """Blur images.

        image: Images of any size.
        radius: Radius in pixels. 0 has no effect. Median and surface use at most 8.
        kind: Motion blurs along a line. Median removes specks. Surface smooths areas and keeps edges.
        angle: For motion: angle in degrees. 0 is horizontal, 90 vertical.
        edge: For surface: differences above this value count as edges.
        """

    def Boolean(
        self,
        _name: str | None = None,
        /,
        *,
        value: bool | Link[bool] = True,
    ) -> _Boolean:
        """True or false, for links to several inputs.

        value: True or false.
        """

    def BoundingBox(
        self,
        _name: str | None = None,
        /,
        *,
        x: int | Link[int] = 0,
        y: int | Link[int] = 0,
        width: int | Link[int] = 512,
        height: int | Link[int] = 512,
        sampled_width: int | Link[int] = 0,
        sampled_height: int | Link[int] = 0,
    ) -> _BoundingBox:
        """Set the part of the canvas that is generated, and the size at which it is sampled.

        The canvas has no borders: positions may be negative.

        x: Upper left corner, in pixels of the canvas.
        y: Upper left corner, in pixels of the canvas.
        width: Size on the canvas, in pixels.
        height: Size on the canvas, in pixels.
        sampled_width: Size of the image of the box, in pixels. 0 uses the size on the canvas.
        sampled_height: Size of the image of the box, in pixels. 0 uses the size on the canvas.
        """

    def BrightnessContrast(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        brightness: float | Link[float] = 1.0,
        contrast: float | Link[float] = 1.0,
    ) -> _BrightnessContrast:
        """Change the brightness and contrast of images.

        image: Images of any size.
        brightness: Factor for the values. 1 has no effect.
        contrast: Factor for the distance from middle gray. 0 gives plain gray, 1 has no effect.
        """

    def CFGGuider(
        self,
        _name: str | None = None,
        /,
        *,
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        cfg: float | Link[float] = 7.0,
        rescale: float | Link[float] = 0.0,
        start: float | Link[float] = 0.0,
        end: float | Link[float] = 1.0,
    ) -> _CFGGuider:
        """Classifier-free guidance: guide away from the negative prompt, towards the positive prompt.

        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        rescale: How far the guided prediction is rescaled to the standard deviation of the positive one, against overexposure at high scales. Use 0.7 for models trained with zero terminal SNR.
        start: Part of the sampling that is guided, 0 to 1. In the other steps only the positive prompt is evaluated, which takes half the time.
        end: Part of the sampling that is guided, 0 to 1. In the other steps only the positive prompt is evaluated, which takes half the time.
        """

    def Calculate(
        self,
        _name: str | None = None,
        /,
        *,
        a: float | Link[float],
        operation: Literal['+', '-', '*', '/', '%', 'min', 'max'] | Link[str] = '+',
        b: float | Link[float] = 0.0,
    ) -> _Calculate:
        """Calculate with two numbers: add, subtract, multiply and so on.

        a: Left operand.
        operation: The operation. % is the remainder, min and max return the smaller and the larger number.
        b: Right operand.
        """

    def CallImageAPI(
        self,
        _name: str | None = None,
        /,
        *,
        prompt: str | Link[str],
        service: str | Link[str] = 'openai',
        model: str | Link[str] = '',
        secret: str | Link[str] = '',
        image: Link[Image] | Sequence[Out[Image] | _Picture] | None = None,
        mask: Link[Mask] | _Picture | Sequence[_Picture] | None = None,
        negative: str | Link[str] = '',
        width: int | Link[int] = 1024,
        height: int | Link[int] = 1024,
        count: int | Link[int] = 1,
        seed: int | Link[int] = 0,
        strength: float | Link[float] | None = None,
        options: str | Link[str] = '',
        address: str | Link[str] = '',
        description: str | Link[str] = '',
        timeout: float | Link[float] = 600.0,
    ) -> _CallImageAPI:
        """Make or edit images with a hosted service: OpenAI, fal, Replicate, or one that you describe.

        Only hosts that the setting service_hosts allows are called. Equal inputs are answered from the
        cache, so they cost nothing again. Change the seed for other images.

        prompt: The prompt.
        service: openai, fal, replicate, or the name of a JSON file in the folder services of the home folder.
        model: Name of the model at the service, for example gpt-image-1 or fal-ai/flux/dev.
        secret: Name of the stored secret with the key. Never write the key itself.
        image: Images to edit.
        mask: What to change in the image, white.
        negative: What the images should not show, if the service supports it.
        width: Width in pixels. 0 leaves the size to the service.
        height: Height in pixels. 0 leaves the size to the service.
        count: Number of images.
        seed: Seed, if the service supports one.
        strength: How much an image is changed, if the service supports it.
        options: Further fields of the request as JSON. null removes a field.
        address: Base address instead of the usual one, for servers that speak the same protocol.
        description: Description of a service as JSON, used instead of its name.
        timeout: Time limit in seconds.
        """

    def CameraConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        camera: Link[CameraPath],
        image: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        image_encoder: Link[ImageEncoder] | _values.ImageEncoder | Sequence[_values.ImageEncoder] | None = None,
    ) -> _CameraConditioning:
        """Set the camera, and optionally the first frame, for a Fun camera model of Wan.

        The latent is empty and has the size and length of the camera's video.

        conditioning: The prompt. A negative prompt does not need this node.
        vae: The VAE of the model.
        camera: The camera's path, from CameraMotion.
        image: One image of the size of the video, which starts with it. Use ResizeImage before this node.
        image_encoder: The image encoder that sees this image, from a file of its own: clip_vision_h. Models of Wan 2.1 need it.
        """

    def CameraMotion(
        self,
        _name: str | None = None,
        /,
        *,
        motion: _motion | Link[str] = 'static',
        width: int | Link[int] = 832,
        height: int | Link[int] = 480,
        frames: int | Link[int] = 81,
        speed: float | Link[float] = 1.0,
        focal_x: float | Link[float] = 0.5,
        focal_y: float | Link[float] = 0.5,
        center_x: float | Link[float] = 0.5,
        center_y: float | Link[float] = 0.5,
    ) -> _CameraMotion:
        """Move a camera through a video, for a Fun camera model of Wan.

        Link the camera to a CameraConditioning, which takes the size and length of the video from it.

        motion: How the camera moves. Zooming moves it forward and back.
        width: Size of the video in pixels.
        height: Size of the video in pixels.
        frames: Number of frames: a multiple of 4 plus 1.
        speed: Factor of the motion. At 1 the camera turns by 60 degrees in the whole video.
        focal_x: Focal lengths as parts of the width and height of a frame of 1280 x 720.
        focal_y: Focal lengths as parts of the width and height of a frame of 1280 x 720.
        center_x: Optical center as parts of the width and height.
        center_y: Optical center as parts of the width and height.
        """

    def CannyEdges(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        low: float | Link[float] = 0.045,
        high: float | Link[float] = 0.105,
    ) -> _CannyEdges:
        """Detect thin edges (Canny): white on black.

        The embedded edge ControlNet was trained on these edges, with the default thresholds.

        image: Any image.
        low: Low threshold: minimum gradient per pixel to continue an edge. Lower values find more edges.
        high: High threshold: minimum gradient per pixel to start an edge.
        """

    def CaptionForLayers(
        self,
        _name: str | None = None,
        /,
        *,
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        image: Link[Image] | _Picture | Sequence[_Picture],
        language: Literal['en', 'zh'] | Link[str] = 'en',
        max_tokens: int | Link[int] = 512,
    ) -> _CaptionForLayers:
        """Describe an image as the prompts of Qwen-Image-Layered do.

        The pipeline of diffusers does this where the prompt is empty. Link the text to EncodePrompt.
        The most likely words are used, so the text has no seed.

        encoder: The text encoder of Qwen-Image-Layered, with its language model head.
        image: The image that is split into layers. Alpha is ignored.
        language: Language of the question, and usually of the description: English or Chinese.
        max_tokens: Maximum number of tokens of the description.
        """

    def CaptionImage(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[VisionModel] | Link[LanguageModel] | Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        image: Link[Image] | _Picture | Sequence[_Picture],
        detail: Literal['short', 'detailed', 'long'] | Link[str] = 'detailed',
        prompt: str | Link[str] = '',
        max_tokens: int | Link[int] = 256,
        beams: int | Link[int] = 3,
    ) -> _CaptionImage:
        """Describe images, with Florence-2, BLIP, or a language model that sees images.

        model: Florence-2 or BLIP from LoadVisionModel, a model of ConnectLanguageModel that sees images, or the text encoder of Qwen-Image.
        image: Any image. Each image of a batch gets a caption.
        detail: Length of the caption. BLIP writes short ones only.
        prompt: Start of the caption for BLIP; question for language models. Florence-2 takes none.
        max_tokens: Maximum number of tokens of a caption.
        beams: Candidates that BLIP and Florence-2 compare at each word.
        """

    def ChangeCase(
        self,
        _name: str | None = None,
        /,
        *,
        text: str | Link[str],
        to: Literal['lower', 'upper', 'title', 'sentence', 'swapped'] | Link[str] = 'lower',
        trim: bool | Link[bool] = False,
    ) -> _ChangeCase:
        """Change a text to lower case, upper case, title case or sentence case.

        text: The text.
        to: The case. sentence makes the first letter upper case and keeps the others.
        trim: Whether to remove spaces at both ends, and to reduce several spaces to one.
        """

    def ChangingGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        cfg: float | Link[float] = 1.0,
        law: Literal['linear', 'cosine', 'late', 'within'] | Link[str] = 'linear',
        start: float | Link[float] = 0.0,
        end: float | Link[float] = 1.0,
    ) -> _ChangingGuidance:
        """Change the guidance scale during sampling, from the guider's scale to another one.

        Steps with a scale of 1 take half the time, because only the positive prompt is evaluated.

        guider: The guider to change. Its scale is used in the first step.
        cfg: Guidance scale of the last step, smaller or larger.
        law: Curve of the change: linear, smooth at both ends, or mostly in the last steps. With within, the new scale applies from start to end, and the guider's scale before and after.
        start: Part of the sampling in which the scale changes, 0 to 1.
        end: Part of the sampling in which the scale changes, 0 to 1.
        """

    def ChooseLine(
        self,
        _name: str | None = None,
        /,
        *,
        lines: str | Link[str],
        choice: str | Link[str] = '',
    ) -> _ChooseLine:
        """Choose one line of a text, and return it with its index, starting at 0.

        lines: The choices, one per line. Spaces around a line and empty lines are ignored.
        choice: The line. Empty for the first one.
        """

    def ChromaticAberration(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        amount: float | Link[float] = 3.0,
    ) -> _ChromaticAberration:
        """Add the color fringes of a simple lens.

        image: Images of any size.
        amount: Shift at the corners in pixels: red outwards, blue inwards.
        """

    def ChunkList(
        self,
        _name: str | None = None,
        /,
        *,
        items: list[Any] | Link[Any] | Sequence[Any | Out[Any]],
        size: int | Link[int] = 4,
    ) -> _ChunkList:
        """Split a list into chunks: a list of lists. The last chunk has the remaining items.

        A node with a list input, for example ImageStrip, runs once per chunk.

        items: The list.
        size: Number of items per chunk.
        """

    def ClassifierGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        classifier: Link[Classifier],
        label: str | Link[str] = '',
        background: str | Link[str] = '',
        scale: float | Link[float] = 3.0,
        start: float | Link[float] = 0.0,
        end: float | Link[float] = 1.0,
    ) -> _ClassifierGuidance:
        """Classifier guidance: guide by the gradient of a classifier, towards a label or a background.

        guider: The guider to extend. With a BasicGuider and an empty prompt, only the classifier guides.
        classifier: A classifier from LoadClassifier, trained on noisy latents of the same model.
        label: Name of the wanted object, as the classifier knows it. Empty means any.
        background: Name of the wanted background color. Empty means any.
        scale: Scale of this guidance.
        start: Part of the sampling in which it applies, 0 to 1.
        end: Part of the sampling in which it applies, 0 to 1.
        """

    def ClassifyImages(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        classifier: Link[TrainedWeights] | _training_values.TrainedWeights | Sequence[_training_values.TrainedWeights],
    ) -> _ClassifyImages:
        """Predict the class of each image of a batch with a trained classifier.

        image: Images of any size.
        classifier: A classifier from TrainClassifier.
        """

    def ClassifyLatents(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | Sequence[Out[Latent] | _values.Latent],
        classifier: Link[Classifier],
    ) -> _ClassifyLatents:
        """Predict the object and background of latents without decoding them.

        latent: One or several latents without noise, with batches of any size.
        classifier: A classifier from LoadClassifier. tiny/guidance_classifier knows the objects and background colors of the model tiny.
        """

    def ClearNoiseMask(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
    ) -> _ClearNoiseMask:
        """Remove the noise mask of a latent, so that sampling changes all of it.

        latent: A latent with or without a noise mask.
        """

    def ClipSkip(
        self,
        _name: str | None = None,
        /,
        *,
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        skip: int | Link[int] = 2,
    ) -> _ClipSkip:
        """Set CLIP skip: use the output of an earlier layer of CLIP, as some models were trained with.

        1 is the last layer, the default of Stable Diffusion 1 and 2. 2 is the layer before it, the
        default of Stable Diffusion XL and 3. ComfyUI writes them as -1 and -2.

        encoder: A text encoder with CLIP.
        skip: The layer to use, counted from the last.
        """

    def ColorBlocks(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        size: int | Link[int] = 32,
    ) -> _ColorBlocks:
        """Reduce an image to squares of one color each.

        image: Any image.
        size: Side of the squares in pixels.
        """

    def CombineConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        first: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        second: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        third: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        fourth: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
    ) -> _CombineConditioning:
        """Apply several prompts together: the model runs for each, and the predictions are averaged.

        Set the weight of each prompt with StrengthConditioning. Limit where and when each applies with
        AreaConditioning, MaskConditioning and SpanConditioning. Put those nodes before this one.

        first: A prompt.
        second: A second prompt.
        third: A third prompt, optional.
        fourth: A fourth prompt, optional. For more prompts, chain two of these nodes.
        """

    def CombineMasks(
        self,
        _name: str | None = None,
        /,
        *,
        first: Link[Mask] | _Picture | Sequence[_Picture],
        second: Link[Mask] | _Picture | Sequence[_Picture],
        how: _how | Link[str] = 'union',
        fit: Literal['stretch', 'place'] | Link[str] = 'stretch',
        x: int | Link[int] = 0,
        y: int | Link[int] = 0,
    ) -> _CombineMasks:
        """Combine two masks into one.

        first: Any mask.
        second: Any mask. It is scaled to the size of the first, or placed on it.
        how: Union: in either mask. Intersect: in both. Subtract: the first without the second. Xor: in only one. Multiply and add combine the values.
        fit: Stretch scales the second mask. Place keeps its size, and the first mask applies around it.
        x: Position of the upper left corner of the second mask, in pixels.
        y: Position of the upper left corner of the second mask, in pixels.
        """

    def CombineSoundLatent(
        self,
        _name: str | None = None,
        /,
        *,
        video: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        sound: Link[Latent] | _values.Latent | Sequence[_values.Latent],
    ) -> _CombineSoundLatent:
        """Combine the latent of a video with a latent of sound, so that both are sampled together.

        video: The latent of a video. Sound that it has already is replaced.
        sound: A latent from VAEEncodeAudio, EmptyAudioLatent or SplitSoundLatent.
        """

    def Compare(
        self,
        _name: str | None = None,
        /,
        *,
        a: float | Link[float],
        comparison: Literal['<', '<=', '==', '!=', '>=', '>'] | Link[str] = '<',
        b: float | Link[float] = 0.0,
    ) -> _Compare:
        """Compare two numbers: less than, equal to, greater than.

        a: Left operand.
        comparison: The comparison.
        b: Right operand.
        """

    def CompareAudio(
        self,
        _name: str | None = None,
        /,
        *,
        audio: Link[Audio] | _values.Audio | Sequence[_values.Audio],
        other: Link[Audio] | _values.Audio | Sequence[_values.Audio],
    ) -> _CompareAudio:
        """Measure how different two audio clips are: spectrum, timbre, pitch and loudness.

        Log-spectral distance and mel-cepstral distortion are in decibels, 0 for the same audio. The
        differences of pitch and loudness are in cents and LU, positive if the other clip is higher or
        louder. Cents are 0 if one clip has no pitch.

        audio: The reference.
        other: Audio with the same sample rate. Both are compared from their beginning.
        """

    def CompareDistributions(
        self,
        _name: str | None = None,
        /,
        *,
        first: list[str] | Link[str] | Sequence[str | Out[str]],
        second: list[str] | Link[str] | Sequence[str | Out[str]],
        categories: list[str] | Link[str] | Sequence[str | Out[str]] | None = None,
        first_groups: list[str] | Link[str] | Sequence[str | Out[str]] | None = None,
        second_groups: list[str] | Link[str] | Sequence[str | Out[str]] | None = None,
        first_name: str | Link[str] = 'first',
        second_name: str | Link[str] = 'second',
        title: str | Link[str] = '',
        level: float | Link[float] = 0.95,
        seed: int | Link[int] = 0,
    ) -> _CompareDistributions:
        """Compare the label distributions of two models or prompts: differences, intervals and a test.

        Images of one prompt are similar. If there are several images per prompt, link the prompts as
        groups. Without groups, the test finds differences that do not exist.

        first: Labels of the images of one model or prompt.
        second: Labels of the other. The number of images may differ.
        categories: All possible labels.
        first_groups: Group of each image of the first, for example its prompt. The test then permutes whole groups, and intervals resample groups. If not linked, images are treated as independent.
        second_groups: The same for the second. Prompts that occur in both are compared with each other.
        first_name: Name of the first.
        second_name: Name of the second.
        title: Title of the plots and the card.
        level: Confidence level. 0.95 misses the true value one time in twenty.
        seed: Seed of the permutations and the bootstrap.
        """

    def CompareImages(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        other: Link[Image] | _Picture | Sequence[_Picture],
    ) -> _CompareImages:
        """Measure the similarity of two images: PSNR, SSIM, MS-SSIM, GMSD.

        PSNR is in decibels, and 100 for equal images. SSIM and MS-SSIM are 1 for equal images. GMSD is
        0 for equal images and compares edges, close to human perception. For a batch, the values are
        means.

        image: The first image.
        other: An image of the same size: one for all, or as many.
        """

    def CompareSamplings(
        self,
        _name: str | None = None,
        /,
        *,
        reference: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        second: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel] | None = None,
        third: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel] | None = None,
        classifier: Link[TrainedWeights] | _training_values.TrainedWeights | Sequence[_training_values.TrainedWeights] | None = None,
        prompts: str | Link[str] = 'a fox face\na red apple',
        names: str | Link[str] = '',
        pictures: int | Link[int] = 1,
        seed: int | Link[int] = 0,
        reference_steps: int | Link[int] = 20,
        reference_cfg: float | Link[float] = 4.0,
        reference_sampler: _reference_sampler | Link[str] = 'dpmpp_2m',
        reference_schedule: _schedule | Link[str] = 'karras',
        steps: int | Link[int] = 20,
        cfg: float | Link[float] = 4.0,
        sampler: _reference_sampler | Link[str] = 'dpmpp_2m',
        schedule: _schedule | Link[str] = 'karras',
        width: int | Link[int] = 0,
        height: int | Link[int] = 0,
    ) -> _CompareSamplings:
        """Compare models with a reference: same prompts and seeds, results as a table and plots.

        Use it for a few-step student and its teacher, a quantized model and the original, or a step
        cache.

        reference: The reference model.
        model: The model to compare. The reported memory includes its weights.
        text_encoder: Text encoder of all models.
        vae: VAE of all models.
        second: A further model, sampled with the same settings.
        third: A further model, sampled with the same settings.
        classifier: A classifier from TrainClassifier. It counts for how many images the predicted label is the same as for the reference.
        prompts: Prompts, one per line.
        names: Names of the models, one per line, the reference first.
        pictures: Number of images per prompt.
        seed: Seed of the first image. The next images count up from it.
        reference_steps: Steps of the reference.
        reference_cfg: Guidance scale of the reference.
        reference_sampler: Sampler of the reference.
        reference_schedule: Schedule of the reference.
        steps: Steps of the other models.
        cfg: Guidance scale of the other models.
        sampler: Sampler of the other models. Use lcm for students.
        schedule: Schedule of the other models. Use normal for students.
        width: Width in pixels. 0 uses the size the models were trained on.
        height: Height in pixels. 0 uses the size the models were trained on.
        """

    def CompareSets(
        self,
        _name: str | None = None,
        /,
        *,
        reference: Link[Image] | Sequence[Out[Image] | _Picture],
        made: Link[Image] | Sequence[Out[Image] | _Picture],
        classifier: Link[Classifier] | None = None,
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae] | None = None,
        encoder: Link[ImageEncoder] | _values.ImageEncoder | Sequence[_values.ImageEncoder] | None = None,
        name: str | Link[str] = '',
        neighbours: int | Link[int] = 3,
        side: int | Link[int] = 128,
    ) -> _CompareSets:
        """Compare generated images with real ones: Fréchet distance, precision, recall and coverage.

        Use equally many of each, at least a hundred. Also compare the reference with other real images:
        this is the best value that a model can reach.

        reference: Real images.
        made: Images generated by a model.
        classifier: Classifier whose features are compared. It needs the VAE of its model.
        vae: VAE of the model that the classifier is for.
        encoder: Image encoder whose features are compared instead, for example CLIP's, which covers all kinds of images.
        name: Name of the model in the plot.
        neighbours: Number of nearest neighbors that define an image's neighborhood.
        side: Side of the squares, in pixels, to which images are resized for the classifier.
        """

    def CompareTexts(
        self,
        _name: str | None = None,
        /,
        *,
        text: str | Link[str],
        how: _how_ | Link[str] = 'contains',
        other: str | Link[str] = '',
        ignore_case: bool | Link[bool] = True,
    ) -> _CompareTexts:
        """Test if a text equals, contains, starts or ends with another text, or matches a pattern.

        text: The text.
        how: The comparison. matches uses the other text as a regular expression.
        other: The text to compare with.
        ignore_case: Whether to ignore upper and lower case.
        """

    def CompositeImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        layer: Link[Image] | _Picture | Sequence[_Picture],
        mask: Link[Mask] | _Picture | Sequence[_Picture] | None = None,
        anchor: _anchor | Link[str] = 'top left',
        x: int | Link[int] = 0,
        y: int | Link[int] = 0,
        opacity: float | Link[float] = 1.0,
        mode: _mode | Link[str] = 'normal',
    ) -> _CompositeImage:
        """Paste an image onto another one at a position.

        image: The lower image. The result has its size.
        layer: The image to paste. It is not scaled. Its alpha is used.
        mask: Area where the layer is visible: 1 shows it. It is scaled to the layer. If not linked, the whole layer is visible.
        anchor: Edge, corner or center where the layer is placed.
        x: Offset in pixels: inwards from an edge, or to the right and down from the center.
        y: Offset in pixels: inwards from an edge, or to the right and down from the center.
        opacity: Opacity of the layer.
        mode: Blend mode, as in Photoshop and CSS.
        """

    def CompositeLatent(
        self,
        _name: str | None = None,
        /,
        *,
        destination: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        source: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        x: int | Link[int] = 0,
        y: int | Link[int] = 0,
        feather: int | Link[int] = 0,
        mask: Link[Mask] | _Picture | Sequence[_Picture] | None = None,
    ) -> _CompositeLatent:
        """Paste a latent into another. Outside the pasted area nothing changes.

        destination: The latent to paste into. An empty latent is all zeros.
        source: The latent to paste. Parts outside the destination are dropped.
        x: Position of the upper left corner, in pixels. It is a multiple of the cell size, usually 8 pixels.
        y: Position of the upper left corner, in pixels. It is a multiple of the cell size, usually 8 pixels.
        feather: Width of the soft edge, in pixels. Edges on the border of the destination are not softened.
        mask: 1 uses the source, 0 keeps the destination. The mask is scaled to the size of the source.
        """

    def CompositeMasked(
        self,
        _name: str | None = None,
        /,
        *,
        base: Link[Image] | _Picture | Sequence[_Picture],
        overlay: Link[Image] | _Picture | Sequence[_Picture],
        mask: Link[Mask] | _Picture | Sequence[_Picture],
    ) -> _CompositeMasked:
        """Composite one image over another with a mask. All other pixels stay bit-identical.

        base: The image where the mask is 0.
        overlay: The image where the mask is 1. It is scaled to the size of the base.
        mask: Any mask. It is scaled to the size of the base.
        """

    def ConcatLatents(
        self,
        _name: str | None = None,
        /,
        *,
        first: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        second: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        axis: Literal['x', 'y', 't'] | Link[str] = 'x',
    ) -> _ConcatLatents:
        """Concatenate two latents in one image or video: side by side, one below the other, or in time.

        first: The latent on the left, at the top or at the start.
        second: A latent of the same model. Its other sides are those of the first. If one of the two is a single item, it is used for the whole batch.
        axis: x for the width, y for the height, t for the frames of a video.
        """

    def ConcatenateConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        first: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        second: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
    ) -> _ConcatenateConditioning:
        """Append the tokens of one prompt to those of another, so that words affect each other less.

        The two prompts are encoded separately, so that for example colors do not bleed from one into
        the other. For models that accept prompts of any length: Stable Diffusion 1 to 3, XL, Flux.1 and
        Chroma.

        first: The first prompt. Its pooled embedding and other data are kept.
        second: The prompt whose tokens are appended.
        """

    def ConnectLanguageModel(
        self,
        _name: str | None = None,
        /,
        *,
        kind: Literal['ollama', 'openai'] | Link[str] = 'ollama',
        model: str | Link[str] = 'qwen3:4b',
        address: str | Link[str] = '',
        secret: str | Link[str] = '',
        options: str | Link[str] = '',
    ) -> _ConnectLanguageModel:
        """Connect a language model on a server: Ollama, OpenAI, or a server that speaks as OpenAI does.

        Use it wherever a node takes a language model. Only hosts that the setting service_hosts allows
        are called.

        kind: Protocol of the server: Ollama, or OpenAI's chat completions, which vLLM, llama.cpp, LM Studio, OpenRouter and others speak.
        model: Name of the model on the server.
        address: Base address of the server. Empty for Ollama on this machine, or for OpenAI.
        secret: Name of the stored secret with the key. Never write the key itself.
        options: Further fields of requests as JSON, for example {"top_k": 20}. null removes a field.
        """

    def ContextWindows(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        length: int | Link[int] = 81,
        overlap: int | Link[int] = 16,
        unit: Literal['frames', 'latent frames'] | Link[str] = 'frames',
        schedule: _schedule_ | Link[str] = 'standard_static',
        stride: int | Link[int] = 1,
        closed_loop: bool | Link[bool] = False,
        fuse_method: Literal['pyramid', 'relative', 'flat', 'overlap-linear'] | Link[str] = 'pyramid',
        context_frame: Literal['none', 'previous frame', 'first frame'] | Link[str] = 'previous frame',
        free_noise: bool | Link[bool] = True,
        split_prompts: bool | Link[bool] = False,
    ) -> _ContextWindows:
        """Evaluate a video model in overlapping windows of frames, for longer videos than it can make.

        In each step, the predictions of all windows are averaged where they overlap. It works with
        every sampler. A window that covers the video changes nothing.

        guider: The guider to change.
        length: Frames of a window. Use about the training length of the model.
        overlap: Frames that two windows share, fewer than length.
        unit: What length and overlap count: frames, or latent frames, which stand for several.
        schedule: standard_static: the same windows in each step. standard_uniform: windows that start elsewhere in each step. looped_uniform: the same, and windows at the end continue at the beginning, for videos that loop. batched: windows side by side, without overlap.
        stride: For uniform schedules: 1 for consecutive frames. 2 adds windows of every second frame, 3 of every fourth, and so on, as far as they fit into the video.
        closed_loop: Let looped windows also overlap where the video starts again.
        fuse_method: Weights of a window's frames. pyramid: more towards its middle. relative: the same, almost nothing at its ends. flat: all alike. overlap-linear: ramps over the overlap.
        context_frame: Frame that the model sees before a later window, without changing it: none, the previous frame, or the same with the conditioning of the video's first frame.
        free_noise: Start later frames from the noise of earlier ones, shuffled, so that windows agree more.
        split_prompts: Let several prompts apply one after the other, each in its part of the video.
        """

    def ControlVideoConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        video: Link[Image] | _Picture | Sequence[_Picture],
        frames: int | Link[int] = 81,
        image: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        image_encoder: Link[ImageEncoder] | _values.ImageEncoder | Sequence[_values.ImageEncoder] | None = None,
        reference: Link[Image] | _Picture | Sequence[_Picture] | None = None,
    ) -> _ControlVideoConditioning:
        """Set the control video for a Fun control model of Wan or CogVideoX.

        For Wan, optionally also the first frame. The latent is empty and has the size of the control
        video.

        conditioning: The prompt. A negative prompt does not need this node.
        vae: The VAE of the model.
        video: Frames to follow, such as edges, depth or poses. Use ResizeImage before this node.
        frames: Number of frames: a multiple of 4 plus 1 for Wan, a multiple of 8 for CogVideoX, or one more for 1.0.
        image: One image of the same size that the video starts with, for Wan.
        image_encoder: The image encoder that sees this image, from a file of its own: clip_vision_h. Models of Wan 2.1 need it.
        reference: One image of the same size with the look of the video, for the models of Wan 2.2 and of 2.1 V1.1.
        """

    def CropImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        width: int | Link[int] = 512,
        height: int | Link[int] = 512,
        anchor: _anchor | Link[str] = 'center',
        x: int | Link[int] = 0,
        y: int | Link[int] = 0,
    ) -> _CropImage:
        """Crop images.

        image: Images of any size. The part of the crop outside the image is left out.
        width: Size of the crop in pixels. 0 extends to the edge of the image.
        height: Size of the crop in pixels. 0 extends to the edge of the image.
        anchor: Edge, corner or center where the crop is placed.
        x: Offset in pixels: inwards from an edge, or to the right and down from the center.
        y: Offset in pixels: inwards from an edge, or to the right and down from the center.
        """

    def CropLatent(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        x: int | Link[int] = 0,
        y: int | Link[int] = 0,
        width: int | Link[int] = 512,
        height: int | Link[int] = 512,
    ) -> _CropLatent:
        """Crop a latent.

        latent: Any latent. An empty one works, too. Its noise mask is cropped, too.
        x: Left and upper edge of the crop, in pixels. They are multiples of the cell size, usually 8 pixels.
        y: Left and upper edge of the crop, in pixels. They are multiples of the cell size, usually 8 pixels.
        width: Size of the crop, in pixels.
        height: Size of the crop, in pixels.
        """

    def CropRegion(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        region: Link[Region],
    ) -> _CropRegion:
        """Crop an image to a region. A list of regions gives a list of images.

        image: The image in which the region was detected, of any size.
        region: A region.
        """

    def CropToMask(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        margin: int | Link[int] = 32,
        width: int | Link[int] = 0,
        height: int | Link[int] = 0,
        multiple_of: int | Link[int] = 8,
        empty: Literal['error', 'whole picture'] | Link[str] = 'error',
    ) -> _CropToMask:
        """Crop an image to its masked area, to work on that area at full resolution.

        StitchCrop pastes the result back. A batch is cropped to the area that contains all its masks.

        image: Any image.
        mask: The area to change. It is scaled to the size of the image.
        margin: Margin in pixels around the mask, as context for the model.
        width: Size to scale the crop to, usually the training size of the model. If one is 0, it follows from the aspect ratio of the crop. If both are 0, the crop is not scaled.
        height: Size to scale the crop to, usually the training size of the model. If one is 0, it follows from the aspect ratio of the crop. If both are 0, the crop is not scaled.
        multiple_of: Make the sides of the crop multiples of this.
        empty: How to treat an empty mask: raise an error, or crop to the whole image, to which StitchCrop then changes nothing.
        """

    def CrossLists(
        self,
        _name: str | None = None,
        /,
        *,
        first: list[Any] | Link[Any] | Sequence[Any | Out[Any]],
        second: list[Any] | Link[Any] | Sequence[Any | Out[Any]],
    ) -> _CrossLists:
        """Return every combination of the items of two lists, as two lists of the same length.

        Linked to two inputs of a node, they make it run for each pair. The first item of the first list
        comes with all items of the second, then its next item.

        first: The list that changes slowly.
        second: The list that changes with each pair.
        """

    def CutLatentFrames(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        start: int | Link[int] = 0,
        count: int | Link[int] = 0,
    ) -> _CutLatentFrames:
        """Keep a range of latent frames of a video, or layers of a layered image.

        The VAE decodes most latent frames to several video frames. Wan decodes each to four, except the
        first.

        latent: The latent of a video. Its noise mask is cut, too.
        start: Index of the first frame to keep, starting at 0. Negative values count from the end: -1 is the last.
        count: Maximum number of frames to keep. 0 keeps all frames from start.
        """

    def CutText(
        self,
        _name: str | None = None,
        /,
        *,
        text: str | Link[str] = '',
        start: int | Link[int] = 0,
        end: int | Link[int] | None = None,
    ) -> _CutText:
        """Return part of a text by character positions.

        text: The text.
        start: Index of the first character, starting at 0. Negative values count from the end: -1 is the last.
        end: Index after the last character, counted the same way. If left out, the text is kept to its end.
        """

    def DatasetFromImages(
        self,
        _name: str | None = None,
        /,
        *,
        images: Link[Image] | Sequence[Out[Image] | _Picture],
        captions: list[str] | Link[str] | Sequence[str | Out[str]] | None = None,
        labels: list[str] | Link[str] | Sequence[str | Out[str]] | None = None,
        masks: Link[Mask] | Sequence[Out[Mask] | _Picture] | None = None,
        boxes: bool | Link[bool] = False,
        name: str | Link[str] = '',
    ) -> _DatasetFromImages:
        """Build a dataset from images of the workflow, for example generated ones.

        images: Images of any sizes. Each image of a batch is one example.
        captions: One caption per image, or one for all.
        labels: One class label per image, or one for all.
        masks: Mask of the object in each image.
        boxes: Add a bounding box around each mask, with the image's label.
        name: Name of the dataset.
        """

    def DatasetImages(
        self,
        _name: str | None = None,
        /,
        *,
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        resized: bool | Link[bool] = False,
        epoch: int | Link[int] = -1,
    ) -> _DatasetImages:
        """Unpack a dataset into lists, for example to caption its images with a language model.

        dataset: The dataset. All of its images are loaded into memory.
        resized: Return images at the training size.
        epoch: Epoch whose random augmentations are applied, counted from 0.
        """

    def DatasetReport(
        self,
        _name: str | None = None,
        /,
        *,
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        by: Literal['label', 'tag', 'split', 'size', 'box label'] | Link[str] = 'label',
    ) -> _DatasetReport:
        """Count a dataset's examples by label, tag, split or size, and report how balanced they are.

        dataset: The dataset.
        by: Property to count. Sizes are those used in training.
        """

    def DatasetSheet(
        self,
        _name: str | None = None,
        /,
        *,
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        count: int | Link[int] = 16,
        columns: int | Link[int] = 0,
        size: int | Link[int] = 128,
        below: _below | Link[str] = 'caption',
        parts: bool | Link[bool] = True,
        epoch: int | Link[int] = -1,
    ) -> _DatasetSheet:
        """Show a dataset's first images in one contact sheet, with captions, boxes and masks.

        dataset: The dataset.
        count: Number of images.
        columns: Images per row. 0 makes the sheet about square.
        size: Longer side of each image in pixels.
        below: Text below each image.
        parts: Draw boxes, and darken the area outside the masks.
        epoch: From 0: images as used in that training epoch. -1: images as stored.
        """

    def DecodeMolecules(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | Sequence[Out[Latent] | _values.Latent],
        invalid: Literal['leave out', 'refuse'] | Link[str] = 'leave out',
        distinct: bool | Link[bool] = False,
        conformers: int | Link[int] = 0,
        seed: int | Link[int] = 0,
    ) -> _DecodeMolecules:
        """Decode latents of a molecule model to molecules. Invalid molecules are not repaired.

        latent: Latents from a KSampler with a molecule model, for example tiny/molecules.
        invalid: Whether to leave out invalid molecules (an atom with too many bonds, or several pieces), or to raise an error for the first one.
        distinct: Keep only one of several identical molecules.
        conformers: Number of 3D conformers per molecule, with hydrogens. 0 makes no atom positions. Molecules without a conformer are left out, too.
        seed: Seed of the conformers.
        """

    def DecodeMotion(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | Sequence[Out[Latent] | _values.Latent],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
    ) -> _DecodeMotion:
        """Decode latents of a motion model to videos, one video per item.

        Videos have 16 frames of 64 x 64 pixels at 8 frames per second.

        latent: Latents from a KSampler with a motion model, for example tiny/motions.
        vae: The VAE of the model tiny.
        """

    def DecodeShapes(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | Sequence[Out[Latent] | _values.Latent],
        smooth: float | Link[float] = 0.7,
        largest: bool | Link[bool] = True,
    ) -> _DecodeShapes:
        """Decode latents of a shape model to meshes. Each mesh is closed and has one color.

        latent: Latents from a KSampler with a shape model, for example tiny/shapes.
        smooth: Smoothing radius, in cells of the grid of 32 per side, because models leave seams. 0 does not smooth.
        largest: Keep only the largest piece, and remove small fragments.
        """

    def DecodeSound(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | Sequence[Out[Latent] | _values.Latent],
        rounds: int | Link[int] = 32,
        seed: int | Link[int] = 0,
    ) -> _DecodeSound:
        """Decode latents of a sound model to audio, one sound per item.

        latent: Latents from a KSampler with a sound model, for example tiny/sounds.
        rounds: Number of Griffin-Lim iterations, which fit the phases to the spectrogram. Few iterations sound hoarse.
        seed: Seed of the initial phases.
        """

    def DenoisingSteps(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        seed: int | Link[int] = 0,
        steps: int | Link[int] = 20,
        cfg: float | Link[float] = 7.0,
        sampler: _reference_sampler | Link[str] = 'dpmpp_2m',
        schedule: _schedule | Link[str] = 'karras',
        denoise: float | Link[float] = 1.0,
        denoise_steps: Literal['share', 'all'] | Link[str] = 'share',
        draw: Literal['per item', 'per batch', 'per batch, one seed'] | Link[str] = 'per item',
        convention: Literal['diffusers', 'comfyui'] | Link[str] = 'diffusers',
    ) -> _DenoisingSteps:
        """Return the predicted clean latent after each step of a sampling.

        The inputs are those of KSampler, and the same steps are run. Use it for previews or animations
        of the process.

        model: The diffusion model that removes the noise.
        positive: The prompt: what the image should show.
        negative: The negative prompt: what the image should not show. If not linked, the empty prompt is used.
        latent: An empty latent to generate from noise alone, or the latent of an image to start from.
        seed: Seed of the noise of the first item. Each following item uses the next seed.
        steps: Number of steps of the whole schedule.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        sampler: The sampling method.
        schedule: The noise schedule. simple, sgm_uniform and beta follow ComfyUI, the others follow diffusers. normal uses the scheduler file of the model.
        denoise: Below 1, part of the latent is kept: int(steps × denoise) steps are run.
        denoise_steps: How steps are counted when denoise is below 1. share: that share of the steps is run. all: all steps are run, as the last ones of a schedule of int(steps / denoise) steps, as in ComfyUI.
        draw: How noise is drawn. per item: each item has a seed. per batch: one draw from seed for the whole batch, and noise during sampling from seed + 1, as in ComfyUI. per batch, one seed: the same, with noise during sampling from seed itself, as in older versions of ComfyUI.
        convention: Which tool's rules apply to noise levels, timesteps, the initial latent, noise masks and step ranges. docs/comfyui.md lists what ComfyUI does differently.
        """

    def DetailRegions(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        image: Link[Image] | _Picture | Sequence[_Picture],
        regions: Link[Region] | Sequence[Out[Region]],
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        guider: Link[Guider] | None = None,
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder] | None = None,
        seed: int | Link[int] = 0,
        steps: int | Link[int] = 20,
        cfg: float | Link[float] = 7.0,
        sampler: _reference_sampler | Link[str] = 'dpmpp_2m',
        schedule: _schedule | Link[str] = 'karras',
        denoise: float | Link[float] = 0.5,
        size: float | Link[float] = 512.0,
        size_of: Literal['box', 'crop'] | Link[str] = 'box',
        largest: float | Link[float] = 1024.0,
        width: int | Link[int] = 0,
        height: int | Link[int] = 0,
        large: Literal['paint', 'skip'] | Link[str] = 'paint',
        feather: int | Link[int] = 5,
        softness: float | Link[float] = 10.0,
        masked: bool | Link[bool] = True,
        mask_feather: int | Link[int] = 0,
        inpainting: bool | Link[bool] = False,
        cycles: int | Link[int] = 1,
        seeds: Literal['next', 'same'] | Link[str] = 'next',
        paste: bool | Link[bool] = True,
        tile: int | Link[int] = 0,
        denoise_steps: Literal['share', 'all'] | Link[str] = 'share',
        draw: Literal['per item', 'per batch', 'per batch, one seed'] | Link[str] = 'per item',
        convention: Literal['diffusers', 'comfyui'] | Link[str] = 'diffusers',
        prompts: str | Link[str] = '',
    ) -> _DetailRegions:
        """Paint regions of an image at full size, one after the other, for example faces.

        Each region is cropped, enlarged, sampled with its mask, and pasted back. Later regions see what
        was painted before. All pixels that no softened mask reaches stay bit-identical. Control images,
        masks and areas of the prompts are those of the whole image, and are cropped.

        model: The diffusion model.
        vae: VAE of the model.
        image: One image.
        regions: Regions from DetectRegions, RegionsFromMask or TileRegions.
        positive: The prompt: what the regions should show.
        negative: The negative prompt. If not linked, the empty prompt is used.
        guider: A guider that is used instead of the prompts and of cfg.
        encoder: Text encoder of the model, for prompts.
        seed: Seed of the first region.
        steps: As for KSampler.
        cfg: As for KSampler.
        sampler: As for KSampler.
        schedule: As for KSampler.
        denoise: As for KSampler.
        size: Length in pixels to which the shorter side is enlarged.
        size_of: Whether this is the side of the object's box, or of the whole region.
        largest: Longest side of an enlarged region in pixels.
        width: Fixed size at which all regions are painted. 0 follows from size.
        height: Fixed size at which all regions are painted. 0 follows from size.
        large: Whether to paint regions, without a change of their size, that are larger than size, or to skip them.
        feather: Pixels over which the edge of the mask fades when the part is pasted back.
        softness: Deviation of the Gaussian that softens this edge, in pixels.
        masked: Keep what lies outside the mask while sampling. If off, the whole region is sampled.
        mask_feather: Pixels over which the edge of the mask fades for sampling, in which softer parts change later (GradualMask).
        inpainting: The model is an inpainting model, see InpaintConditioning.
        cycles: How often each region is sampled, each time with the next seed.
        seeds: Whether each region has the next seed, or all have the same.
        paste: Paste the parts. If off, the image stays, and all parts are made of it.
        tile: Tile size of the VAE in pixels, as for VAEDecode.
        denoise_steps: As for KSampler.
        draw: As for KSampler.
        convention: As for KSampler.
        prompts: Positive prompts of single regions, with [SEP] between them. After the last one, the first follows again. [ASC], [DSC], [ASC-SIZE], [DSC-SIZE] or [RND] at the beginning sorts the regions from left to right, from right to left, by size, or randomly. [LAB] at the beginning takes prompts by label: [ALL] red hair, [face] smiling. [SKIP] leaves a region out, [STOP] it and all that follow. [CONCAT] adds a prompt to positive. Choices are drawn as by RandomPrompt.
        """

    def DetectRegions(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[VisionModel],
        image: Link[Image] | _Picture | Sequence[_Picture],
        labels: str | Link[str] = '',
        threshold: float | Link[float] = 0.5,
        crop: float | Link[float] = 3.0,
        grow: int | Link[int] = 0,
        smallest: int | Link[int] = 10,
        most: int | Link[int] = 100,
    ) -> _DetectRegions:
        """Detect objects, for example faces, and return a region around each.

        Link the regions to DetailRegions, which paints each of them at full size. A model that
        segments, such as YOLO for segmentation, masks the objects; others mask their boxes.

        model: RT-DETR, D-FINE, YOLOS, DETR, or a YOLO model as an ONNX file, from LoadVisionModel.
        image: One image.
        labels: Class names, separated by commas. Empty for all classes of the model.
        threshold: Minimum confidence.
        crop: Size of a region, as a multiple of the object's box.
        grow: Side in pixels of a square by which the masks grow. Negative values shrink them.
        smallest: Objects whose width or height in pixels is not above this are left out.
        most: Maximum number of regions, the most confident first.
        """

    def DetectThings(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[VisionModel],
        image: Link[Image] | _Picture | Sequence[_Picture],
        labels: str | Link[str] = '',
        threshold: float | Link[float] = 0.5,
        most: int | Link[int] = 100,
        unit: Literal['shares', 'pixels'] | Link[str] = 'shares',
    ) -> _DetectThings:
        """Detect objects of classes that a model knows, for example people, and return their boxes.

        Link the boxes to SegmentAnything, EstimatePose or MaskFromBoxes.

        model: RT-DETR, D-FINE, YOLOS, DETR, or a YOLO model as an ONNX file, from LoadVisionModel.
        image: Any image. For a batch, boxes and number are those of the first image. Masks are made for each image.
        labels: Class names, separated by commas. Empty for all classes of the model.
        threshold: Minimum confidence.
        most: Maximum number of boxes per image, the most confident first.
        unit: Unit of the returned boxes: shares of the image's sides, 0 to 1, or pixels.
        """

    def Distill(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset] | None = None,
        prompts: str | Link[str] = '',
        pictures: int | Link[int] = 4,
        kind: Literal['trajectory', 'consistency'] | Link[str] = 'trajectory',
        cfg: float | Link[float] = 4.0,
        negative: str | Link[str] = '',
        steps: int | Link[int] = 500,
        batch: int | Link[int] = 4,
        learning_rate: float | Link[float] = 0.0001,
        rank: int | Link[int] = 16,
        layers: Literal['attention', 'attention and feed-forward', 'all'] | Link[str] = 'all',
        teacher_steps: int | Link[int] = 0,
        huber: float | Link[float] = 0.03,
        seed: int | Link[int] = 0,
        options: Link[TrainingOptions] | None = None,
        samples: Link[TrainingSamples] | None = None,
    ) -> _Distill:
        """Distill a model into a LoRA that samples in few steps and without guidance.

        The model is its own teacher. Sample the result in 2 to 8 steps, with the sampler lcm, the
        schedule normal and cfg 1.

        model: The teacher, and the base of the student. Its own weights do not change.
        text_encoder: Text encoder of the same model.
        vae: VAE of the same model.
        dataset: Images with captions, similar to what the student should generate. If not linked, the model generates them from the prompts.
        prompts: Prompts, one per line, if there is no dataset.
        pictures: Number of images generated per prompt.
        kind: trajectory: the student learns the end point of the teacher's guided trajectory. consistency: it learns the same prediction at two neighboring points of the trajectory (LCM). Its steps are cheaper, but it needs far more of them.
        cfg: Guidance scale of the teacher. The student learns its effect.
        negative: Negative prompt of the teacher. Empty uses the empty prompt.
        steps: Number of training steps.
        batch: Images per step.
        learning_rate: Learning rate: 1e-4 for large models, up to 2e-3 for small ones.
        rank: Rank of the LoRA. 64 is usual for large models.
        layers: Layers that get a LoRA.
        teacher_steps: Steps of the teacher from the current point to the end. With consistency, steps of the whole schedule, of which it runs one. 0 means 4, or 50 with consistency.
        huber: Where the Huber loss changes from squared to absolute. LCM's scripts use 0.001.
        seed: Random seed of the training.
        options: More settings, from TrainingSettings.
        samples: Sample images during training, from WatchTraining. Use few steps and cfg 1.
        """

    def DistilledGuider(
        self,
        _name: str | None = None,
        /,
        *,
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        guidance: float | Link[float] = 3.5,
        cfg: float | Link[float] = 1.0,
    ) -> _DistilledGuider:
        """Set the guidance scale of models that take it as an input, like Flux.1-dev and LCM.

        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        guidance: Guidance scale that is passed to the model.
        cfg: Scale of true classifier-free guidance in addition, which doubles the time. At 1 or below it is off and the negative prompt is not evaluated.
        """

    def DominantColors(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        count: int | Link[int] = 5,
        width: int | Link[int] = 256,
        height: int | Link[int] = 64,
    ) -> _DominantColors:
        """Find the dominant colors of an image.

        image: The image. Of a batch the first is used. Transparent areas are ignored.
        count: Number of colors, the most frequent first.
        width: Size of the palette image. Each color is as wide as its share.
        height: Size of the palette image. Each color is as wide as its share.
        """

    def DrawAudio(
        self,
        _name: str | None = None,
        /,
        *,
        audio: Link[Audio] | _values.Audio | Sequence[_values.Audio],
        width: int | Link[int] = 1024,
        height: int | Link[int] = 256,
    ) -> _DrawAudio:
        """Draw the waveform of audio.

        audio: The audio. Its channels are drawn below each other.
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        """

    def DrawBoxes(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        boxes: str | Link[str] = '[[0.25, 0.25, 0.5, 0.5]]',
        labels: str | Link[str] = '',
        unit: Literal['shares', 'pixels'] | Link[str] = 'shares',
        color: str | Link[str] = 'red',
        line: float | Link[float] = 3.0,
        size: float | Link[float] = 16.0,
    ) -> _DrawBoxes:
        """Draw boxes with labels, for example the output of an object detector.

        image: The images. Each image of a batch gets the same boxes.
        boxes: Boxes as [[x, y, width, height], ...], or four numbers per line. Empty for none.
        labels: Labels of the boxes, one per line, in their order. Empty for none.
        unit: Shares of the image's sides, 0 to 1, or pixels.
        color: Color of the boxes. It may be semi-transparent.
        line: Line width in pixels. 0 fills the boxes.
        size: Text height of the labels in pixels.
        """

    def DrawHeat(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        opacity: float | Link[float] = 0.65,
    ) -> _DrawHeat:
        """Draw a mask as a heat map over a gray image: dark for 0, bright yellow for 1.

        image: The image below the heat map.
        mask: A mask, for example from AttentionMaps. It is scaled to the size of the image.
        opacity: Opacity of the heat map.
        """

    def DrawLatent(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        shown: Literal['colors', 'channels'] | Link[str] = 'colors',
    ) -> _DrawLatent:
        """Show a latent as an image, without decoding it.

        latent: A latent of images. For a video latent, the middle frame is shown.
        shown: Approximate colors, if they are known for the latent format, or the channels one by one in a grid. In the grid, black to white covers three standard deviations on both sides of the mean.
        """

    def DrawMesh(
        self,
        _name: str | None = None,
        /,
        *,
        mesh: Link[Mesh] | _spatial_values.Mesh | Sequence[_spatial_values.Mesh] | Link[PointCloud] | _spatial_values.PointCloud | Sequence[_spatial_values.PointCloud],
        size: int | Link[int] = 512,
        angle: float | Link[float] = 30.0,
        elevation: float | Link[float] = 20.0,
    ) -> _DrawMesh:
        """Render a mesh or point cloud from one side.

        mesh: The mesh or point cloud. It is scaled to fit.
        size: Side of the square image in pixels.
        angle: Rotation in degrees.
        elevation: Camera elevation in degrees.
        """

    def DrawMolecule(
        self,
        _name: str | None = None,
        /,
        *,
        molecule: Link[Molecule] | _spatial_values.Molecule | Sequence[_spatial_values.Molecule],
        width: int | Link[int] = 512,
        height: int | Link[int] = 512,
    ) -> _DrawMolecule:
        """Draw a molecule: its 2D structure, or the atoms of a large molecule in 3D.

        molecule: Above 300 atoms, a square image of the atoms as a point cloud is drawn.
        width: Width in pixels.
        height: Height in pixels.
        """

    def DrawPlot(
        self,
        _name: str | None = None,
        /,
        *,
        plot: Link[Plot] | _plots.Plot | Sequence[_plots.Plot],
        width: int | Link[int] = 640,
        height: int | Link[int] = 400,
    ) -> _DrawPlot:
        """Draw a plot as an image.

        plot: The plot. Long series are thinned, and their extremes are kept.
        width: Width in pixels.
        height: Height in pixels.
        """

    def DrawShape(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        shape: Literal['rectangle', 'ellipse', 'line'] | Link[str] = 'rectangle',
        x: float | Link[float] = 16.0,
        y: float | Link[float] = 16.0,
        width: float | Link[float] = 64.0,
        height: float | Link[float] = 64.0,
        color: str | Link[str] = 'red',
        line: float | Link[float] = 3.0,
        radius: float | Link[float] = 0.0,
    ) -> _DrawShape:
        """Draw a rectangle, an ellipse or a line on images.

        image: Images of any size.
        shape: A line is drawn from the corner at x, y to the opposite corner.
        x: Left and top in pixels.
        y: Left and top in pixels.
        width: Size in pixels. For a line they may be negative.
        height: Size in pixels. For a line they may be negative.
        color: Color of the shape. It may be semi-transparent.
        line: Line width in pixels. 0 fills the shape.
        radius: Corner radius of a rectangle in pixels.
        """

    def DrawSpectrogram(
        self,
        _name: str | None = None,
        /,
        *,
        audio: Link[Audio] | _values.Audio | Sequence[_values.Audio],
        width: int | Link[int] = 1024,
        height: int | Link[int] = 256,
        decibels: float | Link[float] = 60.0,
    ) -> _DrawSpectrogram:
        """Draw a mel spectrogram: the frequencies of audio over time, low frequencies at the bottom.

        audio: The audio. Its channels are drawn below each other.
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        decibels: Dynamic range: this far below a full-scale sine, sound is drawn as silence.
        """

    def DrawText(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        text: str | Link[str] = 'nodegraph',
        size: float | Link[float] = 32.0,
        color: str | Link[str] = 'white',
        anchor: _anchor | Link[str] = 'bottom',
        x: int | Link[int] = 0,
        y: int | Link[int] = 8,
        outline: str | Link[str] = 'black',
        outline_width: int | Link[int] = 2,
        background: str | Link[str] = '',
        margin: int | Link[int] = 4,
        align: Literal['left', 'center', 'right'] | Link[str] = 'center',
        line_spacing: float | Link[float] = 1.2,
        wrap: bool | Link[bool] = True,
        font: str | Link[str] = '',
    ) -> _DrawText:
        """Draw text on images.

        image: The images. Each image of a batch gets the same text.
        text: One or several lines.
        size: Text height in pixels.
        color: Text color. It may be semi-transparent.
        anchor: Edge, corner or center where the text is placed.
        x: Offset in pixels: inwards from an edge, or to the right and down from the center.
        y: Offset in pixels: inwards from an edge, or to the right and down from the center.
        outline: Color of the outline.
        outline_width: Width of the outline in pixels.
        background: Color of a box behind the text. Empty for none.
        margin: Space around the text in its box, in pixels.
        align: Alignment of several lines.
        line_spacing: Line height as a factor of the size.
        wrap: Wrap lines that are wider than the image.
        font: A .ttf or .otf file. Empty uses the included font.
        """

    def DreamBooth(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        prompt: str | Link[str] = 'a photo of sks dog',
        class_prompt: str | Link[str] = 'a photo of a dog',
        class_pictures: int | Link[int] = 50,
        steps: int | Link[int] = 400,
        batch: int | Link[int] = 2,
        learning_rate: float | Link[float] = 0.0001,
        rank: int | Link[int] = 16,
        layers: Literal['attention', 'attention and feed-forward', 'all'] | Link[str] = 'attention and feed-forward',
        seed: int | Link[int] = 0,
        options: Link[TrainingOptions] | None = None,
        samples: Link[TrainingSamples] | None = None,
    ) -> _DreamBooth:
        """Train a LoRA on a few images of a subject, with prior preservation of its class (DreamBooth).

        The model first generates images of the class. The training uses them together with the subject,
        so that the model can still generate the class. `kept_weight` of TrainingSettings is their
        weight.

        model: The model to train. Its original weights do not change.
        text_encoder: The text encoder of the same model. It encodes the prompts.
        vae: The VAE of the same model. It encodes the images.
        dataset: Images of the subject. Their captions are not used.
        prompt: Prompt for the subject: its class with a rare word before it.
        class_prompt: Prompt for the class.
        class_pictures: Number of class images to generate. 0 uses none, and the whole class then becomes the subject.
        steps: Number of optimizer steps.
        batch: Images of the subject per step. As many class images are added.
        learning_rate: Learning rate.
        rank: Rank of the LoRA.
        layers: Layers to train.
        seed: Seed of all random choices of the training.
        options: More options, from TrainingSettings.
        samples: Sample images during training, from WatchTraining.
        """

    def DrivingVideoConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        image: Link[Image] | _Picture | Sequence[_Picture],
        video: Link[Image] | _Picture | Sequence[_Picture],
        frames: int | Link[int] = 81,
        motion: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder] | None = None,
        image_encoder: Link[ImageEncoder] | _values.ImageEncoder | Sequence[_values.ImageEncoder] | None = None,
        previous: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        start: int | Link[int] = 0,
        overlap: int | Link[int] = 1,
        motion_strength: float | Link[float] = 1.0,
        character_strength: float | Link[float] = 1.0,
    ) -> _DrivingVideoConditioning:
        """Move a character as the person in a video does, for Wan Animate 2.

        The video is shown to the model as it is, without poses. The latent is empty and has the size of
        the image. Generate a long video in segments: link the decoded frames of one segment as
        `previous` of the next, and its `next_start` as `start`. Each segment but the first begins with
        `overlap` frames of the one before; ImageFromBatch removes them.

        conditioning: The prompt: what the character and the background look like. A negative prompt does not need this node.
        vae: The VAE of the model.
        image: One image of the character, of the size of the video. Use ResizeImage before this node.
        video: The whole driving video, of the same size; the model generates 24 frames per second.
        frames: Number of frames of the segment: a multiple of 4 plus 1. A shorter driving video runs backwards after its end.
        motion: A prompt about the motion in the driving video. Without it, the pipeline's own is used if `encoder` is linked, else the prompt about the character.
        encoder: The text encoder of the model, if it includes the image encoder.
        image_encoder: The image encoder that sees the character and the first frame of the driving video, from a file of its own: clip_vision_h.
        previous: Frames of the segment before, of the same size. Leave it open for the first segment.
        start: Frame of the driving video that the segment begins at.
        overlap: Number of frames that the segment has in common with the one before. The model was trained with 1.
        motion_strength: How strongly frames follow the driving video. 1 is as it was trained.
        character_strength: How strongly frames follow the image of the character, likewise.
        """

    def DualCFGGuider(
        self,
        _name: str | None = None,
        /,
        *,
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        second: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        cfg: float | Link[float] = 7.0,
        second_cfg: float | Link[float] = 1.5,
    ) -> _DualCFGGuider:
        """Guidance in two stages: from the negative prompt to a second prompt, then to the positive.

        Use it for editing models with separate scales for the image and the instruction.

        positive: Prompt for what the image should show.
        second: Prompt between negative and positive, for example the image to edit without the instruction.
        negative: Prompt that both avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale from the second prompt to the positive.
        second_cfg: Guidance scale from the negative prompt to the second.
        """

    def EditCaptions(
        self,
        _name: str | None = None,
        /,
        *,
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        template: str | Link[str] = '{caption}',
        find: str | Link[str] = '',
        replacement: str | Link[str] = '',
        is_pattern: bool | Link[bool] = False,
        tags: Literal['keep', 'from captions'] | Link[str] = 'keep',
    ) -> _EditCaptions:
        """Rewrite captions: add a trigger word, build them from tags or labels, or replace words.

        dataset: The dataset. Caption files are not changed.
        template: Template of the new captions. {caption}, {tags}, {label} and {name} are filled in, for example: sks style, {caption}.
        find: Text to search for in the result of the template.
        replacement: Text that replaces it.
        is_pattern: Treat the search text as a regular expression.
        tags: From captions also makes tags of captions that are comma-separated lists.
        """

    def EmbossImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        strength: float | Link[float] = 1.0,
        angle: float | Link[float] = 135.0,
    ) -> _EmbossImage:
        """Emboss images, as a relief.

        image: Images of any size.
        strength: Height of the relief.
        angle: Direction of the light in degrees: 0 is from the right, 90 from above.
        """

    def EmptyAudioLatent(
        self,
        _name: str | None = None,
        /,
        *,
        frames: int | Link[int] = 121,
        rate: float | Link[float] = 24.0,
        batch_size: int | Link[int] = 1,
    ) -> _EmptyAudioLatent:
        """Empty latent of sound, as long as a video. LTX-2 generates the sound.

        It is only necessary for sound of another length than the video: without it, LTX-2 generates
        sound as long as the video.

        frames: Number of frames of a video of this length.
        rate: Frames per second of this video.
        batch_size: Number of videos.
        """

    def EmptyImage(
        self,
        _name: str | None = None,
        /,
        *,
        width: int | Link[int] = 512,
        height: int | Link[int] = 512,
        color: str | Link[str] = 'black',
        batch: int | Link[int] = 1,
    ) -> _EmptyImage:
        """Generate images of a single color.

        width: Size in pixels.
        height: Size in pixels.
        color: Color. A transparent color like #00000000 gives images with alpha.
        batch: Number of images.
        """

    def EmptyItems(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        batch_size: int | Link[int] = 16,
    ) -> _EmptyItems:
        """Create empty latents for models that do not make images: molecules, sounds, shapes, motions.

        model: The model that samples them, for example tiny/molecules. It defines the latent size.
        batch_size: Number of items.
        """

    def EmptyLatent(
        self,
        _name: str | None = None,
        /,
        *,
        width: int | Link[int] = 512,
        height: int | Link[int] = 512,
        batch_size: int | Link[int] = 1,
        multiple_of: int | Link[int] = 1,
        any_size: bool | Link[bool] = False,
    ) -> _EmptyLatent:
        """Empty latent: the size of the images to generate from noise alone.

        It takes the latent format of the model that samples it.

        width: Size of the image, in pixels.
        height: Size of the image, in pixels.
        batch_size: Number of images.
        multiple_of: Round width and height down to a multiple of this, for example when they are linked.
        any_size: Also take sizes that the model cannot split into whole patches. The sampler then samples the next larger size and crops the latent. If off, such a size is an error.
        """

    def EmptyLayeredLatent(
        self,
        _name: str | None = None,
        /,
        *,
        width: int | Link[int] = 640,
        height: int | Link[int] = 640,
        layers: int | Link[int] = 4,
        batch_size: int | Link[int] = 1,
        multiple_of: int | Link[int] = 1,
    ) -> _EmptyLayeredLatent:
        """Empty latent of a layered image, for Qwen-Image-Layered.

        The model also generates the whole image, as the first latent frame. To get the layers, remove
        it with CutLatentFrames (start 1), split the others with LatentFramesToBatch, and decode them
        with VAEDecode.

        width: Size of the image, in pixels. The model was trained on about 640 x 640 and 1024 x 1024.
        height: Size of the image, in pixels. The model was trained on about 640 x 640 and 1024 x 1024.
        layers: Number of layers.
        batch_size: Number of layered images.
        multiple_of: Round width and height down to a multiple of this, for example when they are linked.
        """

    def EmptyMusicLatent(
        self,
        _name: str | None = None,
        /,
        *,
        seconds: float | Link[float] = 60.0,
        batch_size: int | Link[int] = 1,
        family: _family | Link[str] = 'ace-step',
    ) -> _EmptyMusicLatent:
        """Empty latent of music or sound: its length for the model that generates it.

        seconds: Length in seconds, rounded to latent frames of the model.
        batch_size: Number of pieces.
        family: The model family: ACE-Step 1.5, Stable Audio Open, Stable Audio 3, MiniMax Music 3 or LongCat-AudioDiT.
        """

    def EmptyVideoLatent(
        self,
        _name: str | None = None,
        /,
        *,
        width: int | Link[int] = 832,
        height: int | Link[int] = 480,
        frames: int | Link[int] = 81,
        batch_size: int | Link[int] = 1,
    ) -> _EmptyVideoLatent:
        """Empty video latent: size and length of the videos to generate from noise alone.

        It takes the latent format of the model that samples it.

        width: Size in pixels. Wan 2.2 5B, LTX-Video and LTX-2 need multiples of 32, and so does MiniMax H3.
        height: Size in pixels. Wan 2.2 5B, LTX-Video and LTX-2 need multiples of 32, and so does MiniMax H3.
        frames: Number of frames: a multiple of 4 plus 1 for Wan, a multiple of 8 plus 1 for LTX-Video and LTX-2, a multiple of 17 plus 5 for MiniMax H3.
        batch_size: Number of videos.
        """

    def EncodeEditPrompt(
        self,
        _name: str | None = None,
        /,
        *,
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        images: Link[Image] | Sequence[Out[Image] | _Picture],
        text: str | Link[str] = '',
    ) -> _EncodeEditPrompt:
        """Encode an edit prompt together with images, for an image editing model.

        The text encoder of such a model reads the images and the text. The diffusion model gets the
        images from ReferenceLatents. Encode the negative prompt with the same images.

        encoder: The text encoder of Qwen-Image-Edit, which reads one image, of Edit Plus, or of MiniMax H3.
        images: Images for the encoder. A batch counts as several images.
        text: The instruction: what to change in the images.
        """

    def EncodeImagePrompt(
        self,
        _name: str | None = None,
        /,
        *,
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        image: Link[Image] | _Picture | Sequence[_Picture],
    ) -> _EncodeImagePrompt:
        """Encode an image as the prompt of a model that takes one in place of a text.

        encoder: The encoder of such a model, for example Shap-E for images.
        image: One image. The model sees the middle square of it, in 224 x 224 pixels. Shap-E was trained with single objects in front of a white background.
        """

    def EncodeMusicPrompt(
        self,
        _name: str | None = None,
        /,
        *,
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        tags: str | Link[str] = '',
        lyrics: str | Link[str] = '',
        seconds: float | Link[float] = 60.0,
        bpm: int | Link[int] = 0,
        key: str | Link[str] = '',
        time_signature: str | Link[str] = '',
        language: str | Link[str] = 'en',
        task: _task | Link[str] = 'text2music',
        source: Link[Audio] | _values.Audio | Sequence[_values.Audio] | None = None,
        start: float | Link[float] = 0.0,
        end: float | Link[float] = 0.0,
        track: str | Link[str] = '',
        reference: Link[Audio] | _values.Audio | Sequence[_values.Audio] | None = None,
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae] | None = None,
    ) -> _EncodeMusicPrompt:
        """Encode tags and lyrics for a model that generates music, such as ACE-Step 1.5.

        Stable Audio reads tags and seconds alone.

        To edit music, link it as source and choose a task. Sample its latent, from VAEEncodeAudio, with
        denoise 1.

        encoder: The text encoder of the model to sample.
        tags: Style, instruments, mood and voice.
        lyrics: The words of the song, with section marks such as [verse] and [chorus] on lines of their own. [inst] and no words give instrumental music.
        seconds: Length of the music, as for EmptyMusicLatent. The model reads it as text.
        bpm: Beats per minute. 0 leaves it to the model.
        key: Key and scale, for example C major. Empty leaves it to the model.
        time_signature: Beats of a bar, for example 4 or 3. Empty leaves it to the model.
        language: Code of the language of the lyrics, for example en, de or zh.
        task: text2music generates from words alone. repaint generates a part of the source anew, cover a new version of it. extract gives one of its tracks, lego a track to add to it, complete the tracks that it lacks.
        source: Audio to edit. Its length replaces seconds.
        start: Part of the source to generate anew, in seconds, for repaint and lego. An end of 0 is the end of the source.
        end: Part of the source to generate anew, in seconds, for repaint and lego. An end of 0 is the end of the source.
        track: Name of a track, for example vocals or drums. complete takes several with commas between.
        reference: Audio whose timbre the music gets.
        vae: The VAE of the model, for source and reference, and if LoadTextEncoder loaded the encoder from files, which lack the latents of silence.
        """

    def EncodePrompt(
        self,
        _name: str | None = None,
        /,
        *,
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        text: str | Link[str] = '',
        syntax: Literal['auto', 'on', 'off', 'comfyui'] | Link[str] = 'auto',
    ) -> _EncodePrompt:
        """Encode a prompt with the text encoder of a model.

        (words:1.3) sets a weight, (words) multiplies by 1.1, [words] divides by 1.1. [from:to:0.5]
        replaces words after half of the steps, [from:to:8] after eight. [to:0.5] adds words later,
        [from::0.5] removes them. [one|two] alternates at each step. one AND two :0.5 combines two
        prompts. BREAK starts the next chunk of a long prompt. \\( \\[ \\: \\| are plain characters. A
        prompt longer than the encoder's limit is encoded in chunks. See docs/prompts.md.

        encoder: The text encoder of the model to sample.
        text: The prompt: what the image should show.
        syntax: Whether this markup is read. auto reads it for models that support weights (Stable Diffusion 1, 2 and XL), and passes plain text to others. on reads it for others, too, except weights and BREAK. off passes plain text to all. comfyui follows ComfyUI: (words:1.3) is 1.3 within any brackets, (words) multiplies by 1.1, and all else is text.
        """

    def EncodePromptApart(
        self,
        _name: str | None = None,
        /,
        *,
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        text: str | Link[str] = '',
        clip_l: str | Link[str] | None = None,
        clip_g: str | Link[str] | None = None,
        t5: str | Link[str] | None = None,
        llama: str | Link[str] | None = None,
        qwen: str | Link[str] | None = None,
        syntax: Literal['auto', 'on', 'off', 'comfyui'] | Link[str] = 'auto',
    ) -> _EncodePromptApart:
        """Encode a prompt with a separate text for each text encoder.

        Stable Diffusion XL has clip_l and clip_g, Stable Diffusion 3 clip_l, clip_g and t5, Flux.1
        clip_l and t5, HiDream these four, Kandinsky 5 clip_l and qwen.

        encoder: The text encoder of the model to sample.
        text: Text for all encoders whose input is left out.
        clip_l: Text for CLIP-L, the first encoder.
        clip_g: Text for CLIP-G. Its pooled embedding also conditions Stable Diffusion XL.
        t5: Text for T5, which understands sentences best.
        llama: Text for Llama 3.
        qwen: Text for Qwen2.5-VL.
        syntax: As for EncodePrompt, except for AND.
        """

    def EncodeSongPrompt(
        self,
        _name: str | None = None,
        /,
        *,
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        caption: str | Link[str] = '',
        lyrics: str | Link[str] = '',
        seconds: float | Link[float] = 60.0,
        seed: int | Link[int] = 0,
        cfg: float | Link[float] = 1.5,
        top_k: int | Link[int] = 50,
    ) -> _EncodeSongPrompt:
        """Compose a song with the language model of MiniMax Music 3, as conditioning for a KSampler.

        Link its length to an EmptyMusicLatent of family minimax-music3. The language model writes 25
        frames per second, so a song takes far longer than a prompt of other models.

        encoder: The text encoder of the model to sample.
        caption: Description of the music: genre, tempo, mood, voice, instruments and arrangement.
        lyrics: The words of the song, with section marks such as [verse] and [chorus] on lines of their own. Text behind a mark on its line is dropped. [intro] and [inst] need no words.
        seconds: Greatest length in seconds. The model may end the song earlier.
        seed: Seed of the composing. Another seed gives another song.
        cfg: Guidance scale of the language model. Higher values follow caption and lyrics more.
        top_k: Draw each audio code from this many of the likeliest.
        """

    def EnhancePrompt(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[LanguageModel] | Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        prompt: str | Link[str],
        style: Literal['detailed', 'photo', 'tags', 'short', 'video'] | Link[str] = 'detailed',
        instructions: str | Link[str] = '',
        images: Link[Image] | Sequence[Out[Image] | _Picture] | None = None,
        seed: int | Link[int] = 0,
        temperature: float | Link[float] = 0.7,
        max_tokens: int | Link[int] = 300,
    ) -> _EnhancePrompt:
        """Rewrite a short prompt into a better one, with a language model.

        LoRAs, embeddings and wildcards of the prompt are kept: the model does not see them, and they
        follow the new text. The model sees weighted text, such as (cat:1.2), without weights.

        model: From LoadLanguageModel or ConnectLanguageModel, or a text encoder that can write.
        prompt: The short prompt.
        style: Sentences with details, a description of a photo, comma-separated tags, one sentence, or a shot of a video.
        instructions: Further instructions for the model, for example: keep the colors.
        images: Images for the model to look at, if it can.
        seed: Seed of the sampling. Another seed gives another text.
        temperature: Low values stay closer to usual wording.
        max_tokens: Maximum number of tokens of the new prompt.
        """

    def EstimateDepth(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[VisionModel],
        image: Link[Image] | _Picture | Sequence[_Picture],
    ) -> _EstimateDepth:
        """Estimate a depth map: near is white, far is black.

        model: Depth Anything, DPT or GLPN, from LoadVisionModel.
        image: Any image. The range of each image of a batch is normalized separately.
        """

    def EstimatePose(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[VisionModel],
        image: Link[Image] | _Picture | Sequence[_Picture],
        boxes: str | Link[str] = '',
        unit: Literal['shares', 'pixels'] | Link[str] = 'shares',
        threshold: float | Link[float] = 0.3,
        thickness: float | Link[float] = 1.0,
    ) -> _EstimatePose:
        """Draw the skeletons of people on black, for a pose ControlNet.

        model: ViTPose, from LoadVisionModel.
        image: Any image. The boxes apply to all images of a batch.
        boxes: x, y, width and height of a box around each person. If empty, one person in the whole image is assumed.
        unit: Unit of the coordinates: shares of the image's sides, 0 to 1, or pixels.
        threshold: Minimum confidence of a joint to draw.
        thickness: Thickness of the limbs. 1 is the thickness that ControlNets were trained on, at 512 pixels.
        """

    def ExponentialSchedule(
        self,
        _name: str | None = None,
        /,
        *,
        steps: int | Link[int] = 20,
        sigma_max: float | Link[float] | None = None,
        sigma_min: float | Link[float] | None = None,
    ) -> _ExponentialSchedule:
        """Exponential noise schedule: levels evenly spaced in log sigma.

        steps: Number of steps.
        sigma_max: The largest and the smallest noise level. If left out, those of the model.
        sigma_min: The largest and the smallest noise level. If left out, those of the model.
        """

    def ExtractLora(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        base: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel] | None = None,
        text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder] | None = None,
        base_text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder] | None = None,
        rank: int | Link[int] = 32,
        energy: float | Link[float] = 1.0,
    ) -> _ExtractLora:
        """Extract a LoRA: from a fine-tuned model, or from the LoRAs that a model has.

        With `base`, the LoRA is the difference of the two models. Without it, all LoRAs of the model
        become one LoRA. So you can merge several LoRAs at their strengths, or change the rank of one.
        SaveWeights writes the result as a file.

        model: The fine-tuned model, or a model with LoRAs.
        base: The original model, for which the LoRA is.
        text_encoder: The text encoder of the model, to include its change.
        base_text_encoder: The text encoder of the original model. Without it, only the LoRAs of `text_encoder` count.
        rank: Largest rank of the LoRA. A higher rank is nearer to the model, in a larger file.
        energy: Part of each layer's change to keep, measured in squared singular values. Below 1, layers with simple changes get a lower rank. 1 uses the same rank everywhere.
        """

    def FadeMaskBorders(
        self,
        _name: str | None = None,
        /,
        *,
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        left: int | Link[int] = 0,
        top: int | Link[int] = 0,
        right: int | Link[int] = 0,
        bottom: int | Link[int] = 0,
    ) -> _FadeMaskBorders:
        """Fade a mask towards the borders of its image, for example to blend pasted tiles.

        mask: Any mask.
        left: Width of the fade in pixels. 0 leaves that side unchanged.
        top: Width of the fade in pixels. 0 leaves that side unchanged.
        right: Width of the fade in pixels. 0 leaves that side unchanged.
        bottom: Width of the fade in pixels. 0 leaves that side unchanged.
        """

    def FallbackConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
    ) -> _FallbackConditioning:
        """Let a prompt apply only where and when other prompts do not, instead of the empty prompt.

        Its weight is what the weights of the others leave to 1: nothing where one applies fully, half
        where a soft mask is 0.5. Join it with the others by CombineConditioning.

        conditioning: The prompt for the rest of the image and of the sampling.
        """

    def FeatherMask(
        self,
        _name: str | None = None,
        /,
        *,
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        radius: float | Link[float] = 8.0,
        method: Literal['gaussian', 'linear'] | Link[str] = 'gaussian',
        side: Literal['both', 'inward', 'outward'] | Link[str] = 'both',
    ) -> _FeatherMask:
        """Soften the edges of a mask.

        mask: Any mask.
        radius: Width of the soft edge on each side, in pixels.
        method: Gaussian blurs the mask, with half the radius as standard deviation. Linear fades evenly with the distance from the edge.
        side: Inward stays inside the mask, so that nothing outside it changes. Outward keeps the whole mask at full strength.
        """

    def FillMaskHoles(
        self,
        _name: str | None = None,
        /,
        *,
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        most: int | Link[int] = 0,
    ) -> _FillMaskHoles:
        """Fill the holes of a mask.

        mask: Pixels of 0.5 and above count as masked.
        most: Size of the largest hole to fill, in pixels. 0 fills all holes.
        """

    def FillMasked(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        mask: Link[Mask] | _Picture | Sequence[_Picture] | None = None,
        noise: float | Link[float] = 0.0,
        seed: int | Link[int] = 0,
    ) -> _FillMasked:
        """Fill the masked and the transparent area of an image with the colors around it.

        Inpainting and outpainting with a denoise below 1 keep some of what is in the image: this gives
        them something sensible to begin with.

        image: Any image. Where it is transparent it is filled, too.
        mask: The area to fill. It is scaled to the size of the image. Without one, only what is transparent is filled.
        noise: Strength of the noise in the filled area. Models make more detail from noise than from smooth colors.
        seed: Seed of the noise.
        """

    def FilterDataset(
        self,
        _name: str | None = None,
        /,
        *,
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        split: Literal['any', 'train', 'validation', 'test'] | Link[str] = 'any',
        labels: str | Link[str] = '',
        tags: str | Link[str] = '',
        caption: str | Link[str] = '',
        min_side: int | Link[int] = 0,
        max_side: int | Link[int] = 0,
        max_aspect: float | Link[float] = 0.0,
    ) -> _FilterDataset:
        """Filter a dataset's examples by split, label, tag, caption or size.

        dataset: The dataset.
        split: Split of the examples.
        labels: Labels, separated by commas; any of them matches. cat* also matches cats.
        tags: Tags, separated by commas; all must be present as tags or as words of the caption.
        caption: Text that the caption must contain.
        min_side: Minimum length of the shorter side, in pixels.
        max_side: Maximum length of the longer side, in pixels. 0 means no limit.
        max_aspect: Maximum aspect ratio, longer to shorter side. 0 means no limit.
        """

    def FilterMolecules(
        self,
        _name: str | None = None,
        /,
        *,
        molecules: Link[Molecule] | Sequence[Out[Molecule] | _spatial_values.Molecule],
        contains: str | Link[str] = '',
        without: str | Link[str] = '',
        property: Literal['logp', 'qed', 'rings', 'atoms', 'mass'] | Link[str] = 'logp',
        low: float | Link[float] | None = None,
        high: float | Link[float] | None = None,
    ) -> _FilterMolecules:
        """Keep molecules that contain a pattern, lack a pattern, or have a property in a range.

        molecules: The molecules to filter.
        contains: SMARTS pattern that must occur, for example c1ccccc1. Empty for any.
        without: SMARTS pattern that must not occur, for example [F,Cl]. Empty for none.
        property: Property to check.
        low: Minimum value.
        high: Maximum value.
        """

    def FilterRegions(
        self,
        _name: str | None = None,
        /,
        *,
        regions: Link[Region] | Sequence[Out[Region]],
        labels: str | Link[str] = '',
        by: _by | Link[str] = 'area',
        least: float | Link[float] = 0.0,
        most: float | Link[float] = 1000000000000.0,
        of: Literal['box', 'crop'] | Link[str] = 'box',
    ) -> _FilterRegions:
        """Select regions by their label and by a measure.

        regions: The regions.
        labels: Class names, separated by commas. Empty for all.
        by: What is measured, in pixels. elongation is the longer side in percent of the shorter one. confidence is that of the detector, 0 to 1.
        least: The smallest and largest value to select.
        most: The smallest and largest value to select.
        of: Measure the box of the object, or the whole crop.
        """

    def FindEdges(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        strength: float | Link[float] = 1.0,
    ) -> _FindEdges:
        """Detect edges with a Sobel filter: bright edges on black.

        image: Images of any size. Each channel is processed separately.
        strength: Factor for the edges.
        """

    def FindText(
        self,
        _name: str | None = None,
        /,
        *,
        text: str | Link[str],
        pattern: str | Link[str],
        group: int | Link[int] = 0,
        ignore_case: bool | Link[bool] = False,
        most: int | Link[int] = 0,
    ) -> _FindText:
        """Find all matches of a regular expression in a text.

        text: The text.
        pattern: Regular expression, for example [0-9]+ for numbers.
        group: Number of the capture group to return. 0 is the whole match.
        ignore_case: Whether to ignore upper and lower case.
        most: Maximum number of matches, from the start. 0 returns all.
        """

    def FineTune(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        kept: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset] | None = None,
        steps: int | Link[int] = 500,
        batch: int | Link[int] = 4,
        learning_rate: float | Link[float] = 1e-05,
        seed: int | Link[int] = 0,
        options: Link[TrainingOptions] | None = None,
        samples: Link[TrainingSamples] | None = None,
    ) -> _FineTune:
        """Fine-tune all weights of a model: for small models, or much data.

        A LoRA takes far less memory.

        model: The model to train. A copy of it in float32 is trained.
        text_encoder: The text encoder of the same model. It encodes the captions.
        vae: The VAE of the same model. It encodes the images.
        dataset: Images with captions.
        kept: Regularization images, whose look should not change. See TrainLoRA.
        steps: Number of optimizer steps.
        batch: Images per step.
        learning_rate: Learning rate. 1e-6 to 1e-5 for large models.
        seed: Seed of all random choices of the training.
        options: More options, from TrainingSettings.
        samples: Sample images during training, from WatchTraining.
        """

    def FirstBlockCache(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        threshold: float | Link[float] = 0.1,
    ) -> _FirstBlockCache:
        """Skip the other blocks of a step if the first block changes little since the previous step.

        The previous residual of the other blocks is used again (first-block cache of ParaAttention,
        with the hooks of diffusers). It works for transformers; docs/speed.md lists them.

        model: Model to change.
        threshold: Relative change of the residual of the first block above which all blocks are computed. 0 computes all. 0.05 to 0.15 is usual.
        """

    def FlattenImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        color: str | Link[str] = 'white',
    ) -> _FlattenImage:
        """Remove transparency by placing images on a background color.

        image: The images. An image without alpha does not change.
        color: Background color.
        """

    def FlattenLayers(
        self,
        _name: str | None = None,
        /,
        *,
        layers: Link[Layers] | None = None,
        box: Link[CanvasBox] | None = None,
        color: str | Link[str] = '',
    ) -> _FlattenLayers:
        """Blend layers to one image, of the whole canvas or of a box.

        Blending is that of Photoshop and CSS, in sRGB. The mask is 1 where layers cover the image.

        layers: The layers, bottom first. If not linked, the image is empty.
        box: Part of the canvas, and size of the image. If not linked, the image is as large as all layers together, hidden ones included.
        color: Color behind the layers. If empty, the image keeps its transparency.
        """

    def FlipImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        axis: Literal['horizontal', 'vertical', 'both'] | Link[str] = 'horizontal',
    ) -> _FlipImage:
        """Mirror images.

        image: Images of any size.
        axis: Horizontal swaps left and right, vertical swaps top and bottom.
        """

    def FlipLatent(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        axis: Literal['horizontal', 'vertical'] | Link[str] = 'horizontal',
    ) -> _FlipLatent:
        """Mirror a latent.

        It decodes only approximately to the mirrored image. Sample it with a low denoise afterwards.

        latent: Any latent. An empty one works, too. Its noise mask is mirrored, too.
        axis: Horizontal swaps left and right, vertical swaps top and bottom.
        """

    def FlipSchedule(
        self,
        _name: str | None = None,
        /,
        *,
        schedule: Link[Schedule],
    ) -> _FlipSchedule:
        """Reverse the order of the noise levels, to go from an image to its noise with euler
        (inversion).

        schedule: The schedule to reverse. Reversing it twice restores it.
        """

    def Flux2Schedule(
        self,
        _name: str | None = None,
        /,
        *,
        steps: int | Link[int] = 20,
        width: int | Link[int] = 1024,
        height: int | Link[int] = 1024,
    ) -> _Flux2Schedule:
        """Noise schedule of Flux.2 for an image size and a number of steps.

        steps: Number of steps.
        width: Size of the image, in pixels.
        height: Size of the image, in pixels.
        """

    def Fold(
        self,
        _name: str | None = None,
        /,
        *,
        items: list[Any] | Link[Any] | Sequence[Any | Out[Any]],
        initial: Any,
        body: str | BuiltSubgraph,
        **inputs: Any,
    ) -> _Fold:
        """Run a subgraph for each item of a list, and pass its result on to the next run.

        The subgraph takes the value `accumulated` so far, an `item`, and optionally its number as
        `index`. It returns the new value of `accumulated`. Its other inputs become inputs of this node.
        The outputs are the final value, and the value after each item.

        items: The list.
        initial: The accumulated value before the first item.
        body: Name of the subgraph.
        """

    def ForEach(
        self,
        _name: str | None = None,
        /,
        *,
        items: list[Any] | Link[Any] | Sequence[Any | Out[Any]],
        body: str | BuiltSubgraph,
        **inputs: Any,
    ) -> _ForEach:
        """Run a subgraph once for each item of a list.

        The subgraph takes an `item`, and optionally its number as `index`, and returns a `result`. Its
        other inputs become inputs of this node. Each run is cached separately.

        items: The list.
        body: Name of the subgraph.
        """

    def ForegroundMask(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[VisionModel],
        image: Link[Image] | _Picture | Sequence[_Picture],
        resolution: int | Link[int] = 0,
    ) -> _ForegroundMask:
        """Mask the foreground and remove the background, with BiRefNet, RMBG and others.

        model: BiRefNet, RMBG, ISNet or U²-Net, from LoadVisionModel.
        image: Any image. The model sees it stretched to a square.
        resolution: Side of this square in pixels. 0 is 1024, or the value in the model's folder. Use 2048 for BiRefNet-HR.
        """

    def FormatText(
        self,
        _name: str | None = None,
        /,
        *,
        template: str | Link[str] = '{a}, {b}',
        a: str | int | float | bool | Link[str] | Link[int] | Link[float] | Link[bool] | None = None,
        b: str | int | float | bool | Link[str] | Link[int] | Link[float] | Link[bool] | None = None,
        c: str | int | float | bool | Link[str] | Link[int] | Link[float] | Link[bool] | None = None,
        d: str | int | float | bool | Link[str] | Link[int] | Link[float] | Link[bool] | None = None,
        e: str | int | float | bool | Link[str] | Link[int] | Link[float] | Link[bool] | None = None,
        f: str | int | float | bool | Link[str] | Link[int] | Link[float] | Link[bool] | None = None,
    ) -> _FormatText:
        """Insert values into a text: {a} is the value of the input a, {a:.2f} a number with two
        decimals.

        template: The text. {a:04d} writes a number with four digits. {{ is a plain bracket.
        a: Values to insert: texts, numbers, true or false. With a list the node runs for each item. Use ToText for other values.
        b: Values to insert: texts, numbers, true or false. With a list the node runs for each item. Use ToText for other values.
        c: Values to insert: texts, numbers, true or false. With a list the node runs for each item. Use ToText for other values.
        d: Values to insert: texts, numbers, true or false. With a list the node runs for each item. Use ToText for other values.
        e: Values to insert: texts, numbers, true or false. With a list the node runs for each item. Use ToText for other values.
        f: Values to insert: texts, numbers, true or false. With a list the node runs for each item. Use ToText for other values.
        """

    def Formula(
        self,
        _name: str | None = None,
        /,
        *,
        expression: str | Link[str] = 'a + b',
        a: float | int | Link[float] | Link[int] = 0.0,
        b: float | int | Link[float] | Link[int] = 0.0,
        c: float | int | Link[float] | Link[int] = 0.0,
        d: float | int | Link[float] | Link[int] = 0.0,
        whole: Literal['nearest', 'cut off'] | Link[str] = 'nearest',
    ) -> _Formula:
        """Evaluate a formula, for example (a + b) / 2 or min(a, 4) if b > 1 else c.

        + - * / // (whole) % (remainder) ** (power); < <= == != >= > and or not; x if test else y; abs
        min max clamp round floor ceil int float sqrt pow exp log log2 log10 sin cos tan; pi tau e true
        false; & | ~ of the bits of whole numbers.

        It returns the number, the number as a whole number, and whether it is not 0.

        expression: The formula.
        a: Values of the variables.
        b: Values of the variables.
        c: Values of the variables.
        d: Values of the variables.
        whole: How to make the whole number: round to the nearest one, or cut off the decimals.
        """

    def FrameRateConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        rate: float | Link[float] = 25.0,
    ) -> _FrameRateConditioning:
        """Set the frame rate that LTX-Video and Cosmos read as an input.

        Without this node it is 25 for LTX-Video, 30 for Cosmos 1.0 and 16 for Cosmos Predict2. Other
        models ignore it.

        conditioning: The positive prompt.
        rate: Frames per second. Set the same rate in VAEDecodeVideo.
        """

    def FreeU(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        b1: float | Link[float] = 1.3,
        b2: float | Link[float] = 1.4,
        s1: float | Link[float] = 0.9,
        s2: float | Link[float] = 0.2,
        version: Literal['v2', 'v1', 'diffusers'] | Link[str] = 'v2',
    ) -> _FreeU:
        """Improve a UNet's details with FreeU (arXiv:2309.11497), at almost no extra time.

        It strengthens the backbone features of the UNet's decoder, which carry shapes, and weakens the
        skip features, which carry fine texture.

        model: Stable Diffusion 1, 2 or XL, or another UNet.
        b1: Factors of the backbone features at the deepest decoder stage and the next one. 1.3 and 1.4 are usual; 1.1 and 1.2 for SDXL.
        b2: Factors of the backbone features at the deepest decoder stage and the next one. 1.3 and 1.4 are usual; 1.1 and 1.2 for SDXL.
        s1: Factors of the low frequencies of the skip features at these stages. 0.9 and 0.2 are usual.
        s2: Factors of the low frequencies of the skip features at these stages. 0.9 and 0.2 are usual.
        version: v2 applies b where features are strong, v1 everywhere. The FreeU of diffusers is v1 at the first two stages, independent of their width.
        """

    def FrequencyGuider(
        self,
        _name: str | None = None,
        /,
        *,
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        low_cfg: float | Link[float] = 5.0,
        high_cfg: float | Link[float] = 10.0,
        levels: int | Link[int] = 2,
    ) -> _FrequencyGuider:
        """Frequency-decoupled guidance (FDG): one scale for composition and colors, one for details.

        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        low_cfg: Guidance scale of low frequencies. A low value keeps variety and natural colors. At 1 or below the negative prompt is not evaluated.
        high_cfg: Guidance scale of high frequencies. A high value gives clear details and edges.
        levels: Levels of the frequency pyramid. With more levels, more frequencies count as details.
        """

    def Gate(
        self,
        _name: str | None = None,
        /,
        *,
        value: Any,
        open: bool | Link[bool] = True,
    ) -> _Gate:
        """Pass a value on, or block it. If it is blocked, nodes that depend on it are skipped silently.

        value: The value to pass on. While the gate is closed, nodes that only this node needs do not run.
        open: Pass the value on.
        """

    def GenerateHostedText(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[LanguageModel],
        prompt: str | Link[str] = '',
        images: Link[Image] | Sequence[Out[Image] | _Picture] | None = None,
        system: str | Link[str] = '',
        max_tokens: int | Link[int] = 512,
        sampling: bool | Link[bool] = True,
        seed: int | Link[int] = 0,
        schema: str | Link[str] = '',
        temperature: float | Link[float] = 0.7,
        top_k: int | Link[int] = 64,
        top_p: float | Link[float] = 0.95,
        min_p: float | Link[float] = 0.05,
        repetition_penalty: float | Link[float] = 1.05,
        presence_penalty: float | Link[float] = 0.0,
        thinking: bool | Link[bool] = False,
        chat: bool | Link[bool] = True,
        timeout: float | Link[float] = 600.0,
    ) -> _GenerateHostedText:
        """Generate text with a language model on a server. The text is shown while it comes.

        GenerateText uses this node for models on servers. Equal inputs are answered from the cache.

        model: From ConnectLanguageModel.
        prompt: The prompt for the language model.
        images: Images for the model to look at, if it can. A batch counts as several images.
        system: System prompt: how the model should answer.
        max_tokens: Maximum number of tokens of the answer.
        sampling: Sample each token by its probability. If off, the temperature is 0.
        seed: Seed of the sampling. Servers may ignore it.
        schema: JSON Schema that the answer follows.
        temperature: Low values prefer likely tokens. High values give more varied text.
        top_k: Sample from this many of the most likely tokens. For Ollama.
        top_p: Sample from the most likely tokens whose probabilities add up to this value.
        min_p: Leave out tokens whose probability is below this share of the highest one. For Ollama.
        repetition_penalty: Penalty on tokens that already occur. 1 is none. For Ollama.
        presence_penalty: Constant penalty on tokens that already occur in the answer. 0 is none.
        thinking: Let the model think first. The answer does not include these thoughts.
        chat: Must be on. Servers apply the chat template of the model.
        timeout: Time limit in seconds.
        """

    def GenerateText(
        self,
        _name: str | None = None,
        /,
        *,
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder] | Link[LanguageModel],
        prompt: str | Link[str] = '',
        images: Link[Image] | Sequence[Out[Image] | _Picture] | None = None,
        system: str | Link[str] = '',
        max_tokens: int | Link[int] = 512,
        sampling: bool | Link[bool] = True,
        seed: int | Link[int] = 0,
        temperature: float | Link[float] = 0.7,
        top_k: int | Link[int] = 64,
        top_p: float | Link[float] = 0.95,
        min_p: float | Link[float] = 0.05,
        repetition_penalty: float | Link[float] = 1.05,
        presence_penalty: float | Link[float] = 0.0,
        thinking: bool | Link[bool] = False,
        chat: bool | Link[bool] = True,
        schema: str | Link[str] = '',
        audio: Link[Audio] | _values.Audio | Sequence[_values.Audio] | None = None,
    ) -> _GenerateText:
        """Generate text with a language model: an answer, a better prompt, or an image description.

        Use it with LoadLanguageModel, or with ConnectLanguageModel for a model on a server. These text
        encoders work too if their file includes the language model head: those of Qwen-Image,
        Qwen-Image 2.1, Krea 2, Ovis-Image, LongCat-Image, ERNIE-Image, Ideogram 4, Anima and Z-Image.
        So do those of Bria FIBO 2, JoyImage Edit, Flux.2, Flux.3 Klein, Lumina 2, Sana, HiDream,
        HunyuanImage and LTX-2.

        encoder: A text encoder with a language model head, or a language model.
        prompt: The prompt for the language model.
        images: Images for the model to look at, for Qwen 2.5-VL, Qwen3-VL, Qwen3.5, Gemma 4 and models on servers. A batch counts as several images.
        system: System prompt: how the model should answer.
        max_tokens: Maximum number of tokens of the answer. A word has one or two.
        sampling: Sample each token by its probability. If off, the most likely token is used.
        seed: Seed of the sampling.
        temperature: Low values prefer likely tokens. High values give more varied text.
        top_k: Sample from this many of the most likely tokens. 0 uses all.
        top_p: Sample from the most likely tokens whose probabilities add up to this value.
        min_p: Leave out tokens whose probability is below this share of the highest one.
        repetition_penalty: Penalty on tokens that already occur. 1 is none.
        presence_penalty: Constant penalty on tokens that already occur in the answer. 0 is none.
        thinking: Let the model think first, as Qwen 3 can. The answer does not include these thoughts.
        chat: Apply the chat template of the model to the prompt. If off, the model continues the text. Models on servers always apply it.
        schema: JSON Schema that the answer follows, for models on servers.
        audio: Audio for the model to listen to, for Gemma 4 E2B and E4B of LoadLanguageModel. They hear 30 seconds.
        """

    def GlowImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        strength: float | Link[float] = 0.6,
        radius: float | Link[float] = 12.0,
        threshold: float | Link[float] = 0.6,
    ) -> _GlowImage:
        """Add a glow around bright areas (bloom).

        image: Images of any size.
        strength: Strength of the glow.
        radius: Radius of the glow in pixels.
        threshold: Brightness at which areas start to glow.
        """

    def GradientImage(
        self,
        _name: str | None = None,
        /,
        *,
        width: int | Link[int] = 512,
        height: int | Link[int] = 512,
        colors: str | Link[str] = 'black white',
        kind: Literal['linear', 'radial', 'angular', 'diamond'] | Link[str] = 'linear',
        angle: float | Link[float] = 0.0,
    ) -> _GradientImage:
        """Generate a color gradient.

        width: Size in pixels.
        height: Size in pixels.
        colors: Two or more evenly spaced colors, for example black #ff8800 white.
        kind: Along a line, from the center outwards, or around the center.
        angle: Angle in degrees, clockwise: 0 goes to the right, 90 down.
        """

    def GradientMap(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        colors: str | Link[str] = '#1a1108 #8a6136 #fff4de',
        amount: float | Link[float] = 1.0,
    ) -> _GradientMap:
        """Map brightness to a color gradient: sepia, duotone, false colors.

        image: Images of any size.
        colors: Evenly spaced colors from black to white, for example black #ff8800 white.
        amount: Strength. 0 has no effect.
        """

    def GradientMask(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        width: int | Link[int] = 512,
        height: int | Link[int] = 512,
        kind: Literal['linear', 'radial'] | Link[str] = 'linear',
        angle: float | Link[float] = 0.0,
        start: float | Link[float] = 0.0,
        end: float | Link[float] = 1.0,
    ) -> _GradientMask:
        """Make a mask with a gradient from 0 to 1.

        image: The mask gets the size of this image. If not linked, width and height apply.
        width: Size in pixels, if no image is linked.
        height: Size in pixels, if no image is linked.
        kind: Linear rises along a line. Radial falls from the center to the sides.
        angle: Direction of a linear gradient, in degrees clockwise: 0 rises to the right, 90 rises downwards.
        start: Where the gradient starts and ends, as shares of its length. An end before the start reverses it.
        end: Where the gradient starts and ends, as shares of its length. An end before the start reverses it.
        """

    def GradualMask(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        strength: float | Link[float] = 1.0,
    ) -> _GradualMask:
        """Make gray parts of a noise mask change only in later steps (Differential Diffusion).

        Dark gray areas change only in details, white areas change completely. Without this node, gray
        blends old and new content at each step.

        latent: A latent with a noise mask, from SetNoiseMask or InpaintConditioning. One without a mask stays as it is.
        strength: 0 blends as without this node. 1 does not blend at all.
        """

    def Grayscale(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        method: _method | Link[str] = 'luma',
    ) -> _Grayscale:
        """Convert images to grayscale.

        image: Images of any size. The number of channels does not change.
        method: How gray is computed. Luma is the formula of Pillow and JPEG, luminance the physical brightness. Red, green and blue act like color filters on a lens.
        """

    def GridSweep(
        self,
        _name: str | None = None,
        /,
        *,
        x: list[Any] | Link[Any] | Sequence[Any | Out[Any]],
        y: list[Any] | Link[Any] | Sequence[Any | Out[Any]],
        body: str | BuiltSubgraph,
        x_title: str | Link[str] = '',
        y_title: str | Link[str] = '',
        gap: int | Link[int] = 4,
        **inputs: Any,
    ) -> _GridSweep:
        """Run a subgraph for each pair of values of two lists, and arrange the images in a labeled
        grid.

        The subgraph has the inputs `x` and `y`, which may be linked to any two inputs inside it, and
        returns an `image`. Its other inputs become inputs of this node. Each run is cached separately.

        x: Values from left to right: numbers, texts, for example sampler names, or any others.
        y: Values from top to bottom.
        body: Name of the subgraph.
        x_title: Titles of the axes of the grid.
        y_title: Titles of the axes of the grid.
        gap: Gap between images in pixels.
        """

    def GroupLayers(
        self,
        _name: str | None = None,
        /,
        *,
        group: Link[Layers],
        layers: Link[Layers] | None = None,
        opacity: float | Link[float] = 1.0,
        mode: _mode | Link[str] = 'normal',
        visible: bool | Link[bool] = True,
        name: str | Link[str] = '',
    ) -> _GroupLayers:
        """Add layers as a group on top of others.

        The group is isolated: its layers are blended with each other first, then as one image with the
        layers below.

        group: The layers of the group.
        layers: The layers below. If not linked, the group is the only one.
        opacity: Opacity of the whole group.
        mode: Blend mode of the whole group.
        visible: Hidden groups are kept, but not shown.
        name: Name of the group.
        """

    def GrowMask(
        self,
        _name: str | None = None,
        /,
        *,
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        pixels: int | Link[int] = 8,
        corners: Literal['round', 'square', 'diamond'] | Link[str] = 'round',
    ) -> _GrowMask:
        """Grow a mask, or shrink it with a negative number of pixels.

        It does not shrink away from the border of the image.

        mask: Any mask. Soft edges keep their softness.
        pixels: Distance in pixels. Negative values shrink the mask.
        corners: Shape of the neighborhood: a circle with this radius, a square, or this many steps along rows and columns.
        """

    def GrowRegions(
        self,
        _name: str | None = None,
        /,
        *,
        regions: Link[Region] | Sequence[Out[Region]],
        pixels: int | Link[int] = 10,
    ) -> _GrowRegions:
        """Grow the masks of regions within their crop, or shrink them with a negative number.

        regions: The regions.
        pixels: Side of the square by which they grow.
        """

    def GuidanceConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        guidance: float | Link[float] = 3.5,
    ) -> _GuidanceConditioning:
        """Set the guidance scale that a guidance-distilled model reads as an input.

        Use it for Flux.1 dev, Flux.2 dev, HunyuanImage and LCM. Other models ignore it. Set the
        sampler's cfg to 1. A DistilledGuider takes precedence.

        conditioning: The positive prompt.
        guidance: Guidance scale. Low values give photographic, varied images. High values follow the prompt closely.
        """

    def HighPass(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        radius: float | Link[float] = 5.0,
    ) -> _HighPass:
        """Keep only the details that a blur would remove, around middle gray.

        image: Images of any size.
        radius: Size of the largest kept details in pixels.
        """

    def HueSaturation(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        hue: float | Link[float] = 0.0,
        saturation: float | Link[float] = 1.0,
        lightness: float | Link[float] = 0.0,
        vibrance: float | Link[float] = 0.0,
    ) -> _HueSaturation:
        """Shift hues, and change saturation, lightness and vibrance.

        image: Images of any size. Gray has no hue to shift.
        hue: Hue shift in degrees. Red becomes green at 120 and blue at 240.
        saturation: Factor for the saturation. 0 gives gray, 1 has no effect.
        lightness: Positive values go towards white, negative values towards black.
        vibrance: Like saturation, but saturated colors change less.
        """

    def ImageConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        image: Link[Image] | _Picture | Sequence[_Picture],
        shown: bool | Link[bool] = True,
        crop: bool | Link[bool] = False,
    ) -> _ImageConditioning:
        """Give an image to a model that was trained to follow one, for example its edges or depth map.

        Use it for Flux.1 Canny and Depth, for CogView 4 Control, and for InstructPix2Pix and
        HiDream-E1, which edit the image. The latent is empty and has the size of the image. For other
        models use a ControlNet, or ReferenceLatents.

        conditioning: The prompt. If only the positive prompt has the image, the negative prompt uses the same image.
        vae: The VAE of the model.
        image: One image: edges, a depth map, or the image to edit.
        shown: Whether the model sees the image. Turn it off for the negative prompt of a DualCFGGuider whose second prompt is an empty one with the image. InstructPix2Pix was trained this way.
        crop: Crop the image to whole cells of the VAE, by the same amount on both sides. If off, an image of another size is an error.
        """

    def ImageDifference(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        other: Link[Image] | _Picture | Sequence[_Picture],
        gain: float | Link[float] = 4.0,
    ) -> _ImageDifference:
        """Show the difference of two images: black where they are equal.

        The node also returns the root mean square of the difference of their values, 0 to 1.

        image: The first image.
        other: An image of the same size: one for all, or as many.
        gain: Factor for the differences, to make small ones visible.
        """

    def ImageFromBatch(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        index: int | Link[int] = 0,
        length: int | Link[int] = 1,
        every: int | Link[int] = 1,
        reverse: bool | Link[bool] = False,
    ) -> _ImageFromBatch:
        """Take some images from a batch.

        image: The batch.
        index: First image, counted from 0. -1 is the last.
        length: Maximum number of images. 0 takes all from there.
        every: Take every nth image; 2 takes every second one.
        reverse: Reverse the order.
        """

    def ImageGrid(
        self,
        _name: str | None = None,
        /,
        *,
        images: Link[Image] | Sequence[Out[Image] | _Picture],
        columns: int | Link[int] = 0,
        gap: int | Link[int] = 4,
        captions: list[str] | Link[str] | Sequence[str | Out[str]] | None = None,
        column_labels: list[str] | Link[str] | Sequence[str | Out[str]] | None = None,
        row_labels: list[str] | Link[str] | Sequence[str | Out[str]] | None = None,
        column_title: str | Link[str] = '',
        row_title: str | Link[str] = '',
        background: str | Link[str] = 'white',
        text_color: str | Link[str] = '#1f2328',
    ) -> _ImageGrid:
        """Arrange images in a grid, as one image, with optional captions and axis labels.

        images: The images. Each cell is as large as the largest image. Images of a batch count separately.
        columns: Images per row. 0 uses the number of column labels, or makes the grid about square.
        gap: Gap between images in pixels.
        captions: Texts below the images, in their order.
        column_labels: Texts above the columns.
        row_labels: Texts to the left of the rows.
        column_title: Titles of the column and row axes.
        row_title: Titles of the column and row axes.
        background: Background color.
        text_color: Text color.
        """

    def ImageHistogram(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        height: int | Link[int] = 128,
        logarithmic: bool | Link[bool] = False,
    ) -> _ImageHistogram:
        """Draw a histogram of the values, from black on the left to white on the right.

        image: The images. Each image of a batch gets a histogram.
        height: Height of the histogram in pixels. Its width is 256.
        logarithmic: Use a logarithmic scale, so that rare values are visible.
        """

    def ImageList(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
    ) -> _ImageList:
        """Split a batch into a list, so that the following nodes run once per image.

        image: The batch.
        """

    def ImageSize(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
    ) -> _ImageSize:
        """Get the width, height, batch size and number of channels of images.

        image: The images.
        """

    def ImageStatistics(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
    ) -> _ImageStatistics:
        """Measure the brightness of images, and the minimum, maximum and mean of each channel.

        image: The images. A batch is measured as a whole. The number outputs refer to brightness.
        """

    def ImageStrip(
        self,
        _name: str | None = None,
        /,
        *,
        images: Link[Image] | Sequence[Out[Image] | _Picture],
        direction: Literal['horizontal', 'vertical'] | Link[str] = 'horizontal',
        gap: int | Link[int] = 4,
        captions: list[str] | Link[str] | Sequence[str | Out[str]] | None = None,
    ) -> _ImageStrip:
        """Arrange images in one row or column, as one image.

        images: The images. Each cell is as large as the largest image. Images of a batch count separately.
        direction: Row or column.
        gap: Gap between images in pixels.
        captions: Texts below the images, in their order.
        """

    def ImageToVideoConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        image: Link[Image] | _Picture | Sequence[_Picture],
        frames: int | Link[int] = 81,
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder] | None = None,
        last_image: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        image_encoder: Link[ImageEncoder] | _values.ImageEncoder | Sequence[_values.ImageEncoder] | None = None,
        inpaint_model: bool | Link[bool] = False,
    ) -> _ImageToVideoConditioning:
        """Set the first frame for an image-to-video model, and optionally the last one.

        Use it for the image-to-video models of Wan, Wan 2.2 5B, SkyReels, LTX-Video, Cosmos and
        HunyuanVideo, and for MiniMax H3. The latent is empty and has the size of the image.

        conditioning: The prompt. A negative prompt does not need this node.
        vae: The VAE of the model.
        image: One image of the size of the video. Use ResizeImage before this node. For Cosmos and SkyReels V2 with diffusion forcing, also the first frames of a video to continue. For HunyuanVideo 1.5, also a video, for models that were trained to edit videos.
        frames: Number of frames: a multiple of 4 plus 1 for Wan, SkyReels, Cosmos Predict2 and HunyuanVideo, a multiple of 8 plus 1 for LTX-Video and Cosmos 1.0, a multiple of 17 plus 5 for MiniMax H3.
        encoder: The text encoder of the model, for Wan 2.1 and HunyuanVideo 1.5, if it includes the image encoder. Other models need none.
        last_image: One image of the same size that the video ends with, for Wan 2.1 and 2.2 14B, for the Fun inpaint model of Wan 2.2 5B, for SkyReels V2 with diffusion forcing, and for MiniMax H3.
        image_encoder: The image encoder from a file of its own: clip_vision_h for Wan 2.1, sigclip_vision_patch14_384 for HunyuanVideo 1.5. It sees the first image of a video.
        inpaint_model: Set this for the Fun inpaint model of Wan 2.2 5B, if there is no last image. Other models ignore it.
        """

    def ImagesFromVideo(
        self,
        _name: str | None = None,
        /,
        *,
        video: Link[Video] | _values.Video | Sequence[_values.Video],
    ) -> _ImagesFromVideo:
        """Split a video into its frames and its audio.

        video: The video. Its frames become a batch of images.
        """

    def InjectNoise(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        strength: float | Link[float] = 0.1,
        seed: int | Link[int] = 0,
        mask: Link[Mask] | _Picture | Sequence[_Picture] | None = None,
    ) -> _InjectNoise:
        """Add some noise to a latent before it is sampled again, to get more detail.

        Unlike noise from AddNoise, this noise is not part of the schedule. The sampler treats it as
        image content.

        latent: The latent of an image, or one with leftover noise.
        strength: Standard deviation of the noise. The latent of an image has about 1.
        seed: Seed of the noise of the first item. Each following item uses the next seed.
        mask: Where noise is added: 1 is full strength, 0 is none. The mask is scaled to the size of the latent.
        """

    def InpaintConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        image: Link[Image] | _Picture | Sequence[_Picture],
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        crop: bool | Link[bool] = False,
    ) -> _InpaintConditioning:
        """Prepare a masked image for an inpainting model.

        Inpainting models of Stable Diffusion and Flux.1 Fill need this node. For other models,
        SetNoiseMask is enough: sampling then changes only the masked area.

        conditioning: Prompt for what the image should show. The negative prompt does not need the masked image.
        vae: VAE of the model.
        image: One image.
        mask: Mask, scaled to the image: 1 is filled, 0 is kept. Values of 0.5 and above count as 1.
        crop: Center-crop image and mask to multiples of the VAE's cell. Otherwise such sizes are refused.
        """

    def Integer(
        self,
        _name: str | None = None,
        /,
        *,
        value: int | Link[int] = 0,
    ) -> _Integer:
        """A whole number that can be linked to several inputs.

        value: The number.
        """

    def InterpolateFrames(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[FrameInterpolationModel],
        image: Link[Image] | _Picture | Sequence[_Picture],
        multiplier: int | Link[int] = 2,
    ) -> _InterpolateFrames:
        """Compute new images between the images of a batch.

        model: A model from LoadFrameInterpolationModel.
        image: A batch of images in their order, such as the frames of a video. They do not change. Transparency fades evenly.
        multiplier: 2 computes one image between each two, 3 two images, and so on.
        """

    def InterpolateVideo(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[FrameInterpolationModel],
        video: Link[Video] | _values.Video | Sequence[_values.Video],
        multiplier: int | Link[int] = 2,
        slow_motion: bool | Link[bool] = False,
    ) -> _InterpolateVideo:
        """Compute new frames between the frames of a video, for smooth or slow motion.

        model: A model from LoadFrameInterpolationModel.
        video: The video. Its frames and its audio do not change.
        multiplier: 2 computes one frame between each two, 3 two frames, and so on. Powers of two suit FILM best.
        slow_motion: Keep the frame rate, so the video plays slower. Otherwise the frame rate is multiplied, and the duration stays.
        """

    def InvertImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
    ) -> _InvertImage:
        """Invert the colors of images (negative).

        image: Images of any size. Alpha does not change.
        """

    def InvertMask(
        self,
        _name: str | None = None,
        /,
        *,
        mask: Link[Mask] | _Picture | Sequence[_Picture],
    ) -> _InvertMask:
        """Invert a mask: 0 becomes 1 and 1 becomes 0.

        mask: Any mask.
        """

    def Item(
        self,
        _name: str | None = None,
        /,
        *,
        items: list[Any] | Link[Any] | Sequence[Any | Out[Any]],
        index: int | Link[int] = 0,
    ) -> _Item:
        """Return one item of a list.

        items: The list.
        index: Index of the item, starting at 0. -1 is the last, -2 the one before it.
        """

    def JoinAudio(
        self,
        _name: str | None = None,
        /,
        *,
        audios: Link[Audio] | Sequence[Out[Audio] | _values.Audio],
        last: Link[Audio] | _values.Audio | Sequence[_values.Audio] | None = None,
        gap: float | Link[float] = 0.0,
    ) -> _JoinAudio:
        """Concatenate audio clips.

        audios: One clip, or several in order. All need the same sample rate, and the same number of channels or one channel.
        last: A clip to append at the end.
        gap: Seconds of silence between two clips.
        """

    def JoinChannels(
        self,
        _name: str | None = None,
        /,
        *,
        first: Link[Image] | _Picture | Sequence[_Picture],
        second: Link[Image] | _Picture | Sequence[_Picture],
        third: Link[Image] | _Picture | Sequence[_Picture],
        space: Literal['rgb', 'hsv', 'lab'] | Link[str] = 'rgb',
    ) -> _JoinChannels:
        """Combine channels into an image.

        first: Grayscale images of one size. Of color images the brightness is used.
        second: Grayscale images of one size. Of color images the brightness is used.
        third: Grayscale images of one size. Of color images the brightness is used.
        space: Color space of the channels, see SplitChannels.
        """

    def JoinDatasets(
        self,
        _name: str | None = None,
        /,
        *,
        first: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        second: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        third: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset] | None = None,
        fourth: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset] | None = None,
        name: str | Link[str] = '',
    ) -> _JoinDatasets:
        """Concatenate several datasets.

        first: The first dataset. Its sizes and augmentations apply to all.
        second: The next dataset. If an example's name is already in use, a number is appended.
        third: A further dataset, optional.
        fourth: A further dataset, optional.
        name: Name of the result. Empty keeps the name of the first.
        """

    def JoinImages(
        self,
        _name: str | None = None,
        /,
        *,
        images: Link[Image] | Sequence[Out[Image] | _Picture],
        more: Link[Image] | Sequence[Out[Image] | _Picture] | None = None,
        fit: Literal['stretch', 'crop', 'pad'] | Link[str] = 'crop',
    ) -> _JoinImages:
        """Combine images into one batch.

        images: One image, or a list. All are scaled to the size of the first.
        more: Further images, appended at the end.
        fit: How images of another aspect ratio are fitted: stretched, cropped, or padded with black.
        """

    def JoinLatents(
        self,
        _name: str | None = None,
        /,
        *,
        first: Link[Latent] | Sequence[Out[Latent] | _values.Latent],
        second: Link[Latent] | Sequence[Out[Latent] | _values.Latent] | None = None,
    ) -> _JoinLatents:
        """Join latents into one batch.

        Each item draws noise by its position in the batch. If LatentFromBatch or SetItemSeeds set the
        seeds of some items, all items keep the seeds they had.

        first: One latent, or a list of latents of the same size and model.
        second: More latents, appended after the first.
        """

    def JoinPlots(
        self,
        _name: str | None = None,
        /,
        *,
        plots: Link[Plot] | Sequence[Out[Plot] | _plots.Plot],
        last: Link[Plot] | _plots.Plot | Sequence[_plots.Plot] | None = None,
        title: str | Link[str] = '',
        names: list[str] | Link[str] | Sequence[str | Out[str]] | None = None,
    ) -> _JoinPlots:
        """Combine several plots on the same axes, to compare them.

        plots: One plot or several. Labels and scales are those of the first one.
        last: Plot to draw on top.
        title: Title. If empty, the title that all plots share.
        names: Name of each plot, to tell series with the same name apart.
        """

    def JoinSchedules(
        self,
        _name: str | None = None,
        /,
        *,
        first: Link[Schedule],
        second: Link[Schedule],
    ) -> _JoinSchedules:
        """Join two schedules in sequence.

        Parts that were split from one schedule give that schedule again.

        first: The schedule to sample first.
        second: The schedule to sample next. It should start at or near the level where the first ends. The last step of the first then goes to that level.
        """

    def JoinTexts(
        self,
        _name: str | None = None,
        /,
        *,
        texts: list[str] | Link[str] | Sequence[str | Out[str]],
        separator: str | Link[str] = ', ',
    ) -> _JoinTexts:
        """Join texts into one.

        texts: The texts, for example from a List.
        separator: Separator between the texts. \\n is a line break, \\t a tab.
        """

    def JoinTiles(
        self,
        _name: str | None = None,
        /,
        *,
        tiles: Link[Image] | Sequence[Out[Image] | _Picture],
        tiling: Link[Tiling],
    ) -> _JoinTiles:
        """Join tiles into an image. Overlapping areas are blended.

        If the tiles were not changed, the result equals the split image exactly.

        tiles: Tiles from SplitTiles, also processed ones. All may be scaled by one factor.
        tiling: The tiling output of SplitTiles.
        """

    def KSampler(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        seed: int | Link[int] = 0,
        steps: int | Link[int] = 20,
        cfg: float | Link[float] = 7.0,
        sampler: _reference_sampler | Link[str] = 'dpmpp_2m',
        schedule: _schedule | Link[str] = 'karras',
        denoise: float | Link[float] = 1.0,
        end_step: int | Link[int] | None = None,
        denoise_steps: Literal['share', 'all'] | Link[str] = 'share',
        draw: Literal['per item', 'per batch', 'per batch, one seed'] | Link[str] = 'per item',
        convention: Literal['diffusers', 'comfyui'] | Link[str] = 'diffusers',
    ) -> _KSampler:
        """Generate a latent from noise, step by step, guided by prompts.

        Use it for text-to-image, or with denoise below 1 for image-to-image. VAEDecode turns the result
        into an image.

        model: The diffusion model that removes the noise.
        positive: The prompt: what the image should show.
        negative: The negative prompt: what the image should not show. If not linked, the empty prompt is used.
        latent: An empty latent to generate from noise alone, or the latent of an image to start from.
        seed: Seed of the noise of the first item. Each following item uses the next seed.
        steps: Number of steps of the whole schedule.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        sampler: The sampling method.
        schedule: The noise schedule. simple, sgm_uniform and beta follow ComfyUI, the others follow diffusers. normal uses the scheduler file of the model.
        denoise: Below 1, part of the latent is kept: int(steps × denoise) steps are run. At 0 the latent is returned unchanged. An empty latent at 0 needs convention comfyui, which returns zeros.
        end_step: Stop after this step, counted among the steps that run. The latent keeps the remaining noise. If you raise the value later, sampling continues from there.
        denoise_steps: How steps are counted when denoise is below 1. share: that share of the steps is run. all: all steps are run, as the last ones of a schedule of int(steps / denoise) steps, as in ComfyUI.
        draw: How noise is drawn. per item: each item has a seed. per batch: one draw from seed for the whole batch, and noise during sampling from seed + 1, as in ComfyUI. per batch, one seed: the same, with noise during sampling from seed itself, as in older versions of ComfyUI.
        convention: Which tool's rules apply to noise levels, timesteps, the initial latent, noise masks and step ranges. docs/comfyui.md lists what ComfyUI does differently.
        """

    def KSamplerAdvanced(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        seed: int | Link[int] = 0,
        steps: int | Link[int] = 20,
        cfg: float | Link[float] = 7.0,
        sampler: _reference_sampler | Link[str] = 'dpmpp_2m',
        schedule: _schedule | Link[str] = 'karras',
        start_step: int | Link[int] = 0,
        end_step: int | Link[int] | None = None,
        add_noise: bool | Link[bool] = True,
        leave_noise: bool | Link[bool] = False,
        draw: Literal['per item', 'per batch', 'per batch, one seed'] | Link[str] = 'per item',
        convention: Literal['diffusers', 'comfyui'] | Link[str] = 'diffusers',
    ) -> _KSamplerAdvanced:
        """Run some steps of a schedule, for example to split a sampling between a base model and a
        refiner.

        The first sampler runs steps 0 to 16 and leaves noise. The second runs steps 16 to 20 and adds
        no noise.

        With one model, seed and settings, the result is that of KSampler. It is bit-identical if the
        sampler uses only the latent (euler, heun, ddim, euler_ancestral …). Multistep samplers start
        with an empty history in the second part.

        model: The diffusion model that removes the noise.
        positive: The prompt: what the image should show.
        negative: The negative prompt: what the image should not show. If not linked, the empty prompt is used.
        latent: An empty latent, the latent of an image, or a latent with leftover noise.
        seed: Seed of the noise of the first item. Each following item uses the next seed.
        steps: Number of steps of the whole schedule.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        sampler: The sampling method.
        schedule: The noise schedule.
        start_step: How many steps of the schedule to skip before the first step that runs.
        end_step: The last step to run. If left out, the last step of the schedule.
        add_noise: Whether to add noise to the latent, up to the level of the first step. Turn it off for a latent with leftover noise.
        leave_noise: Whether to leave noise in the latent if it stops before the end of the schedule. Otherwise the last step removes all noise.
        draw: How noise is drawn. per item: each item has a seed. per batch: one draw from seed for the whole batch, and noise during sampling from seed + 1, as in ComfyUI. per batch, one seed: the same, with noise during sampling from seed itself, as in older versions of ComfyUI.
        convention: Which tool's rules apply to noise levels, timesteps, the initial latent, noise masks and step ranges. docs/comfyui.md lists what ComfyUI does differently.
        """

    def KarrasSchedule(
        self,
        _name: str | None = None,
        /,
        *,
        steps: int | Link[int] = 20,
        rho: float | Link[float] = 7.0,
        sigma_max: float | Link[float] | None = None,
        sigma_min: float | Link[float] | None = None,
    ) -> _KarrasSchedule:
        """Karras noise schedule: levels evenly spaced in sigma ** (1 / rho).

        steps: Number of steps.
        rho: 1 spaces the levels evenly. Larger values place more of them at low noise.
        sigma_max: The largest and the smallest noise level. If left out, those of the model.
        sigma_min: The largest and the smallest noise level. If left out, those of the model.
        """

    def KeepMaskParts(
        self,
        _name: str | None = None,
        /,
        *,
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        least: int | Link[int] = 64,
        most: int | Link[int] = 0,
    ) -> _KeepMaskParts:
        """Remove the small parts of a mask (connected components).

        mask: Adjacent pixels above 0 form one part.
        least: Size of the smallest part to keep, in pixels.
        most: Maximum number of parts to keep, the largest first. 0 keeps all parts that are large enough.
        """

    def KeyValueCache(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        memory: Literal['device', 'host'] | Link[str] = 'device',
    ) -> _KeyValueCache:
        """Compute keys and values of prompts and reference images once, and reuse them in each step.

        It works for Qwen-Image 2.1, where results differ by rounding at most, and for Flux.2 Klein KV.
        The more reference images there are, the more time it saves.

        model: Model to change. A Flux.2 Klein that was not trained as KV gives other images with references.
        memory: Which memory holds keys and values. device is the fastest. host takes no memory of an accelerator, and copies them in each step: Qwen-Image 2.1 has 2 GiB for each reference image of a megapixel and prompt in half precision.
        """

    def KeyframeConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae] | None = None,
        image: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        audio_vae: Link[Vae] | _values.Vae | Sequence[_values.Vae] | None = None,
        audio: Link[Audio] | _values.Audio | Sequence[_values.Audio] | None = None,
        frame: int | Link[int] = 0,
    ) -> _KeyframeConditioning:
        """Show MiniMax H3 an image, a clip or sound that stands at a frame of the video.

        Use it once per keyframe. The prompt is best encoded without the image, or with all images by
        EncodeEditPrompt.

        conditioning: The prompt. A negative prompt does not need this node.
        latent: The latent of the video, empty or sampled, for its size and length.
        vae: The VAE of the model. It encodes the image.
        image: One image, or the frames of a clip. They are scaled to the size of the video, and their edges are cropped. A clip is cut to a multiple of 17 frames plus 5; fewer than 5 frames are one image.
        audio_vae: The VAE that encodes the audio, which may be the same.
        audio: Sound that begins at the frame. It is cut at the end of the video.
        frame: Frame that they begin at, from 0. Negative numbers count from the end: -1 is the last frame.
        """

    def LTXSchedule(
        self,
        _name: str | None = None,
        /,
        *,
        steps: int | Link[int] = 20,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent] | None = None,
        max_shift: float | Link[float] = 2.05,
        base_shift: float | Link[float] = 0.95,
        stretch: bool | Link[bool] = True,
        terminal: float | Link[float] = 0.1,
    ) -> _LTXSchedule:
        """Noise schedule of LTX-Video for a video size and length.

        steps: Number of steps.
        latent: The video latent. If not linked, 4096 tokens are assumed.
        max_shift: Logarithm of the shift at 4096 tokens.
        base_shift: Logarithm of the shift at 1024 tokens.
        stretch: Whether to stretch the levels so that the last level above 0 equals terminal.
        terminal: The last level above 0, if stretched.
        """

    def LabelDistribution(
        self,
        _name: str | None = None,
        /,
        *,
        labels: list[str] | Link[str] | Sequence[str | Out[str]],
        categories: list[str] | Link[str] | Sequence[str | Out[str]] | None = None,
        groups: list[str] | Link[str] | Sequence[str | Out[str]] | None = None,
        name: str | Link[str] = '',
        title: str | Link[str] = '',
        level: float | Link[float] = 0.95,
        seed: int | Link[int] = 0,
    ) -> _LabelDistribution:
        """Count how often each label occurs, with confidence intervals, for example for a bias audit.

        labels: Predicted label of each image, from a classifier.
        categories: All possible labels, so that those with a count of zero are shown too.
        groups: Group of each image, for example its prompt. Intervals then come from a bootstrap over prompts, because images of one prompt are similar. Without groups they are Wilson intervals.
        name: Name of the model or prompt in the legend.
        title: Title of the plot and the card.
        level: Confidence level. 0.95 misses the true value one time in twenty.
        seed: Seed of the bootstrap.
        """

    def LaplaceSchedule(
        self,
        _name: str | None = None,
        /,
        *,
        steps: int | Link[int] = 20,
        mu: float | Link[float] = 0.0,
        scale: float | Link[float] = 0.5,
        sigma_max: float | Link[float] | None = None,
        sigma_min: float | Link[float] | None = None,
    ) -> _LaplaceSchedule:
        """Laplace noise schedule: log sigma follows the quantiles of a Laplace distribution.

        steps: Number of steps.
        mu: Log sigma around which the levels are dense.
        scale: Width of the distribution around mu.
        sigma_max: The largest and the smallest noise level. If left out, those of the model.
        sigma_min: The largest and the smallest noise level. If left out, those of the model.
        """

    def LatentFramesToBatch(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        size: int | Link[int] = 1,
    ) -> _LatentFramesToBatch:
        """Split a video latent along time into a batch.

        VAEDecode turns items of one latent frame into images.

        latent: The latent of a video. Its noise mask is split, too.
        size: Latent frames per item. Frames at the end that do not fill an item are dropped.
        """

    def LatentFromBatch(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        index: int | Link[int] = 0,
        length: int | Link[int] = 1,
    ) -> _LatentFromBatch:
        """Take consecutive items from a batch of latents.

        The items keep their noise seeds and leftover noise.

        latent: The batch.
        index: Index of the first item, starting at 0.
        length: Number of items.
        """

    def LatentList(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
    ) -> _LatentList:
        """Split a batch of latents into a list, so that the following nodes run once per latent.

        The latents keep their noise seeds and leftover noise.

        latent: The batch.
        """

    def LatentNoise(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        seed: int | Link[int] = 0,
        standardize: bool | Link[bool] = True,
        draw: Literal['per item', 'per batch', 'per batch, one seed'] | Link[str] = 'per item',
    ) -> _LatentNoise:
        """Use a latent as the initial noise, for example an image encoded by VAEEncode.

        latent: A latent of the same size and model as the one to sample. A single item is used for the whole batch.
        seed: Seed of the noise that samplers draw during sampling.
        standardize: Whether to shift and scale each item to mean 0 and variance 1, on which models are trained. Other noise makes images dull or overexposed.
        draw: How samplers draw noise during sampling, as for RandomNoise.
        """

    def LatentStatistics(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
    ) -> _LatentStatistics:
        """Return mean, standard deviation and range of a latent's values.

        Use it to check how much noise a latent contains.

        latent: A latent with content. For the latent of an image, the mean is near 0 and the deviation near 1.
        """

    def LayersFromImages(
        self,
        _name: str | None = None,
        /,
        *,
        images: Link[Image] | _Picture | Sequence[_Picture],
        box: Link[CanvasBox] | None = None,
        name: str | Link[str] = '',
    ) -> _LayersFromImages:
        """Make a layer of each image of a batch, for example of a model that generates layers.

        images: The pictures, bottom first. Their alpha is used.
        box: Place the images in this box, and scale them to it. If not linked, they lie at the origin of the canvas.
        name: Name of the layers, before their number.
        """

    def Length(
        self,
        _name: str | None = None,
        /,
        *,
        items: list[Any] | Link[Any] | Sequence[Any | Out[Any]],
    ) -> _Length:
        """Return the number of items of a list.

        items: The list.
        """

    def LimitGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        start: float | Link[float] = 0.2,
        end: float | Link[float] = 0.8,
    ) -> _LimitGuidance:
        """Apply guidance only in a part of the sampling: more variety, and less time.

        In the other steps only the positive prompt is used. Guidance added to the guider keeps its own
        part.

        guider: The guider to change.
        start: Part of the sampling that is guided, 0 to 1.
        end: Part of the sampling that is guided, 0 to 1.
        """

    def LineArt(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        width: float | Link[float] = 0.8,
        threshold: float | Link[float] = 0.02,
    ) -> _LineArt:
        """Extract line art from an image: white lines on black.

        image: Any image.
        width: Line width in pixels.
        threshold: How much darker than its surroundings a line must be.
        """

    def Lines(
        self,
        _name: str | None = None,
        /,
        *,
        text: str | Link[str],
    ) -> _Lines:
        """Split a text into its non-empty lines. A node whose text input is linked to them runs for
        each.

        text: One item per line. Spaces around it are removed.
        """

    def List(
        self,
        _name: str | None = None,
        /,
        *,
        item_1: Any = None,
        item_2: Any = None,
        item_3: Any = None,
        item_4: Any = None,
        item_5: Any = None,
        item_6: Any = None,
        item_7: Any = None,
        item_8: Any = None,
    ) -> _List:
        """Make a list from values, or from the items of several lists.

        item_1: Values for the list, in this order. A list adds its items.
        item_2: Values for the list, in this order. A list adds its items.
        item_3: Values for the list, in this order. A list adds its items.
        item_4: Values for the list, in this order. A list adds its items.
        item_5: Values for the list, in this order. A list adds its items.
        item_6: Values for the list, in this order. A list adds its items.
        item_7: Values for the list, in this order. A list adds its items.
        item_8: Values for the list, in this order. A list adds its items.
        """

    def ListedSchedule(
        self,
        _name: str | None = None,
        /,
        *,
        sigmas: str | Link[str] = '14.61, 6.47, 3.86, 2.7, 1.89, 1.4, 0.96, 0.65, 0.4, 0',
    ) -> _ListedSchedule:
        """Noise schedule from levels written as text.

        sigmas: Noise levels, the noisiest first, separated by commas or spaces. For flow models they are at most 1. If the last level is 0, all noise is removed. Otherwise that noise stays in the latent.
        """

    def LoadAudio(
        self,
        _name: str | None = None,
        /,
        *,
        path: str | Link[str],
        start: float | Link[float] = 0.0,
        seconds: float | Link[float] = 0.0,
    ) -> _LoadAudio:
        """Read audio from a file.

        The start and length select a part of a long file, so that the rest is not read into memory.

        path: WAV, FLAC, OGG, MP3, M4A and others, or a video. Relative paths start from the inputs folder.
        start: Seconds to skip at the beginning.
        seconds: Maximum length to read, in seconds. 0 reads all.
        """

    def LoadClassifier(
        self,
        _name: str | None = None,
        /,
        *,
        classifier: str | Link[str] = 'tiny/guidance_classifier',
    ) -> _LoadClassifier:
        """Load a classifier of noisy latents, for ClassifierGuidance.

        classifier: Name under a models folder or path of a .safetensors file, or the included tiny/guidance_classifier, for the model tiny.
        """

    def LoadConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: str | Link[str],
    ) -> _LoadConditioning:
        """Load an encoded prompt from a file, so that no text encoder is needed.

        conditioning: Name in a models folder or path of a .safetensors file with a tensor named conditioning.
        """

    def LoadControlNet(
        self,
        _name: str | None = None,
        /,
        *,
        control_net: str | Link[str] = 'tiny/controlnet',
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] | Link[str] = 'auto',
        storage: Literal['auto', 'full', 'float8', 'int8', 'int4', 'uint4'] | Link[str] = 'auto',
    ) -> _LoadControlNet:
        """Load a ControlNet or T2I adapter, to control a model by an image.

        control_net: Name under a models folder, or path: a .safetensors file with original or diffusers key names, or a folder in the diffusers layout. For Stable Diffusion 1.x, 2.x, XL and 3, Kolors, Hunyuan-DiT, Flux.1, Qwen-Image, Z-Image, Anima and Cosmos Transfer2.5. tiny/controlnet is included: it controls the model tiny by edges.
        dtype: Compute precision, as for LoadModel.
        storage: Precision in which the weights are stored in memory, as for LoadModel.
        """

    def LoadDataset(
        self,
        _name: str | None = None,
        /,
        *,
        path: str | Link[str],
        folders: Literal['splits and labels', 'labels', 'repeats', 'nothing'] | Link[str] = 'splits and labels',
        captions: Literal['if there', 'required', 'file names', 'none'] | Link[str] = 'if there',
        on_error: Literal['refuse', 'skip'] | Link[str] = 'refuse',
        format: Literal['auto', 'folder', 'coco', 'webdataset'] | Link[str] = 'auto',
        recursive: bool | Link[bool] = True,
        mask_suffix: str | Link[str] = '_mask',
        min_side: int | Link[int] = 0,
        decode: bool | Link[bool] = True,
    ) -> _LoadDataset:
        """Load a dataset from a folder of images, a COCO file, or WebDataset tar files.

        Captions come from a .txt or .caption file next to each image, from metadata.jsonl, or from a
        CSV file.

        path: A folder, a pattern like photos/**/*.jpg, a JSON file or a tar file. Relative paths start from the inputs folder.
        folders: Meaning of the subfolder names. Repeats follow the kohya form, for example 10_sks dog.
        captions: Where captions come from. With required, a missing caption is an error.
        on_error: Refuse the whole dataset, or skip unusable files. Each skipped file is listed.
        format: Format of the source. Auto detects it.
        recursive: Include subfolders.
        mask_suffix: The mask of the image apple.png is apple_mask.png. Empty means no masks.
        min_side: Minimum length of an image's shorter side, in pixels.
        decode: Decode each image once, so that damaged files are found now and not during training.
        """

    def LoadDiffusionModel(
        self,
        _name: str | None = None,
        /,
        *,
        model: str | Link[str],
        second: str | Link[str] = '',
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] | Link[str] = 'auto',
        family: _family_ | Link[str] = 'auto',
        shift: float | Link[float] = 0.0,
        prediction_type: Literal['auto', 'epsilon', 'v_prediction', 'sample'] | Link[str] = 'auto',
        zero_terminal_snr: Literal['auto', 'on', 'off'] | Link[str] = 'auto',
        storage: Literal['auto', 'full', 'float8', 'int8', 'int4', 'uint4'] | Link[str] = 'auto',
    ) -> _LoadDiffusionModel:
        """Load a diffusion model alone: a UNet or transformer without text encoders and VAE.

        It uses the published noise schedule of its model family. Add LoadTextEncoder and LoadVae for
        the other parts.

        model: Name in a models folder, or a path. Accepted are a .safetensors or .gguf file with original or diffusers names, a folder in the diffusers layout, or a full checkpoint, from which only the diffusion model is used.
        second: The second of two expert models, given in the same way. It denoises the low-noise steps, for example in Wan 2.2. Empty for models with one expert.
        dtype: Precision in memory, as for LoadModel.
        family: Model family. Set it where several families have the same layout, for example Qwen-Image and Qwen-Image-Edit. auto selects the first that matches. Families of installed packages are included.
        shift: Shift of the noise levels towards high noise, for flow matching models. 1 is no shift. 0 uses the published value.
        prediction_type: For models that are not flow matching models, as for LoadModel.
        zero_terminal_snr: For models that are not flow matching models, as for LoadModel.
        storage: Storage format of the weights, as for LoadModel.
        """

    def LoadEncoderLora(
        self,
        _name: str | None = None,
        /,
        *,
        text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        lora: str | Link[str],
        strength: float | Link[float] = 1.0,
    ) -> _LoadEncoderLora:
        """Apply a LoRA to a text encoder alone. LoadLora applies it to the model as well.

        text_encoder: The text encoder to change. The weights are shared with other uses.
        lora: Name in a models folder or path of a .safetensors file. A file without layers for the text encoder changes nothing.
        strength: Strength on the text encoder.
        """

    def LoadFrameInterpolationModel(
        self,
        _name: str | None = None,
        /,
        *,
        model: str | Link[str],
    ) -> _LoadFrameInterpolationModel:
        """Load a frame interpolation model: FILM.

        model: Name under a models folder or path of a .safetensors file, such as film_net_fp16.safetensors.
        """

    def LoadGLIGEN(
        self,
        _name: str | None = None,
        /,
        *,
        gligen: str | Link[str],
        end: float | Link[float] = 1.0,
    ) -> _LoadGLIGEN:
        """Load GLIGEN, to place phrases in boxes of the image with TextBoxConditioning.

        gligen: Name in a models folder, or path, of a .safetensors file for text boxes, such as gligen_sd14_textbox_pruned.safetensors, or of a folder in the diffusers layout. For Stable Diffusion 1.x, and 2.x if it was trained for it. Only the GLIGEN layers are used: they work with fine-tuned models, too.
        end: Share of the steps with boxes (scheduled sampling): a step counts if it lies completely inside. Below 1, the last steps follow the prompt alone, which can look better.
        """

    def LoadIPAdapter(
        self,
        _name: str | None = None,
        /,
        *,
        ip_adapter: str | Link[str],
        image_encoder: str | Link[str] = '',
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] | Link[str] = 'auto',
    ) -> _LoadIPAdapter:
        """Load an IP-Adapter, to use images as prompts.

        ip_adapter: Name under a models folder, or path of a .safetensors file: for Stable Diffusion 1.x and XL in the variants plain, plus, plus face and full face, and for Kolors the variant plus. FaceID variants, which need InsightFace, are not supported.
        image_encoder: The CLIP vision model it was trained with: name or path of a folder or .safetensors file. Empty uses the folder image_encoder next to the adapter, or next to the adapter's folder.
        dtype: Compute precision of the image encoder, as for LoadModel, but auto is always float32 on a CPU.
        """

    def LoadImage(
        self,
        _name: str | None = None,
        /,
        *,
        path: str | Link[str],
        frame: int | Link[int] = 0,
        alpha: bool | Link[bool] = False,
    ) -> _LoadImage:
        """Load an image from a file.

        The image is rotated upright and converted to sRGB with its color profile. 16 bits are kept. The
        mask is 1 where the image is transparent.

        path: PNG, JPEG, WebP and others. Relative paths start from the inputs folder.
        frame: Frame of an animation, or page of a multi-page file, counted from 0. -1 is the last.
        alpha: Keep the transparency as a fourth channel of the image, for example for AddLayer. If off, only the mask has it.
        """

    def LoadImageBase64(
        self,
        _name: str | None = None,
        /,
        *,
        data: str | Link[str],
    ) -> _LoadImageBase64:
        """Load an image from a base64 text or a data URL, as programs send images.

        Saved images leave out a long text from the workflow that they carry.

        data: The image file as base64, with or without `data:image/png;base64,` before it. At most 72 MB as a file.
        """

    def LoadImageEncoder(
        self,
        _name: str | None = None,
        /,
        *,
        image_encoder: str | Link[str],
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] | Link[str] = 'auto',
    ) -> _LoadImageEncoder:
        """Load an image encoder: a CLIP vision model, or SigLIP's for HunyuanVideo 1.5.

        image_encoder: Name in a models folder, or path of a .safetensors file or folder, for example CLIP ViT-bigG with its projection, or sigclip_vision_patch14_384.
        dtype: Precision in memory, as for LoadModel, but auto is always float32 on a CPU.
        """

    def LoadImageFrames(
        self,
        _name: str | None = None,
        /,
        *,
        path: str | Link[str],
        start: int | Link[int] = 0,
        count: int | Link[int] = 0,
        every: int | Link[int] = 1,
    ) -> _LoadImageFrames:
        """Load all frames of an animation, or all pages of a multi-page file, as a batch.

        path: GIF, WebP, PNG, TIFF and others. Relative paths start from the inputs folder.
        start: First frame, counted from 0. -1 is the last.
        count: Maximum number of frames. 0 loads all from the start.
        every: Load every nth frame; 2 loads every second one.
        """

    def LoadImages(
        self,
        _name: str | None = None,
        /,
        *,
        path: str | Link[str],
        start: int | Link[int] = 0,
        count: int | Link[int] = 0,
        order: Literal['name', 'oldest first', 'newest first'] | Link[str] = 'name',
    ) -> _LoadImages:
        """Load the images of a folder as a list. Their sizes may differ.

        path: A folder, or a pattern like photos/*.png or photos/**/*.jpg. Relative paths start from the inputs folder.
        start: First image, counted from 0.
        count: Maximum number of images. 0 loads all from the start.
        order: Sort by name, with numbers in numeric order, or by the file's modification time.
        """

    def LoadLanguageModel(
        self,
        _name: str | None = None,
        /,
        *,
        model: str | Link[str],
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] | Link[str] = 'auto',
    ) -> _LoadLanguageModel:
        """Load a language model for GenerateText: any model that transformers supports.

        model: Name in a models folder, for example language/qwen3-4b: a folder as transformers saves it, or a file of Gemma 4 or Qwen 3.5 for ComfyUI. Custom code in the folder is not run.
        dtype: Precision in memory, as for LoadModel.
        """

    def LoadLatent(
        self,
        _name: str | None = None,
        /,
        *,
        path: str | Link[str],
    ) -> _LoadLatent:
        """Load a latent that SaveLatent saved.

        path: A .safetensors file. Relative paths start from the inputs folder.
        """

    def LoadLatentUpscaleModel(
        self,
        _name: str | None = None,
        /,
        *,
        model: str | Link[str],
    ) -> _LoadLatentUpscaleModel:
        """Load a latent upscale model of LTX-Video or LTX-2.

        model: Name under a models folder or path of a .safetensors file.
        """

    def LoadLayers(
        self,
        _name: str | None = None,
        /,
        *,
        path: str | Link[str],
    ) -> _LoadLayers:
        """Load the layers of an OpenRaster or Photoshop file.

        Groups, positions, opacity, blend modes and visibility are loaded. Masks become transparency,
        and text, shapes and smart objects become pixels. Adjustment layers and effects are left out.
        What is changed or left out is named in a warning.

        path: ORA or PSD file. Relative paths start from the inputs folder.
        """

    def LoadLora(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder] | None = None,
        lora: str | Link[str] = 'tiny/lcm_lora',
        strength_model: float | Link[float] = 1.0,
        strength_encoder: float | Link[float] = 1.0,
        fused: bool | Link[bool] = False,
        expert: Literal['both', 'first', 'second'] | Link[str] = 'both',
    ) -> _LoadLora:
        """Apply a LoRA, LoHa, LoKr or DoRA to a model and its text encoder.

        The weights are shared with other uses of the model, so changing a LoRA does not reload the
        model. Chain several of these nodes to combine LoRAs.

        model: The model to change.
        text_encoder: The text encoder of the same model, if the file changes it.
        lora: Name in a models folder or path of a .safetensors file, in any common naming scheme. tiny/lcm_lora and tiny/style_lora ship with the model tiny.
        strength_model: Strength on the model. 0 leaves the model unchanged.
        strength_encoder: Strength on the text encoder.
        fused: Merge the LoRA into copies of the weights that it changes. Sampling is as fast as without it, but the copies take memory.
        expert: For a model with two experts, for example Wan 2.2, the expert to change. The first denoises the high-noise steps, the second the low-noise steps.
        """

    def LoadMask(
        self,
        _name: str | None = None,
        /,
        *,
        path: str | Link[str],
        channel: _channel | Link[str] = 'auto',
    ) -> _LoadMask:
        """Load a mask from an image file, for example one that was painted in another program.

        path: PNG, WebP and other formats. Relative paths start from the inputs folder.
        channel: Channel to use as the mask. Auto uses the transparency if the file has any, else the brightness: white is masked.
        """

    def LoadMesh(
        self,
        _name: str | None = None,
        /,
        *,
        path: str | Link[str],
    ) -> _LoadMesh:
        """Load a mesh from a file. Several objects are joined into one mesh.

        Colors and texture are loaded. Other files that the file refers to, for example the materials
        of an OBJ, are not loaded.

        path: GLB, PLY or OBJ file. Relative paths start from the inputs folder.
        """

    def LoadModel(
        self,
        _name: str | None = None,
        /,
        *,
        model: str | Link[str] = 'tiny',
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] | Link[str] = 'auto',
        prediction_type: Literal['auto', 'epsilon', 'v_prediction', 'sample'] | Link[str] = 'auto',
        zero_terminal_snr: Literal['auto', 'on', 'off'] | Link[str] = 'auto',
        storage: Literal['auto', 'full', 'float8', 'int8', 'int4', 'uint4'] | Link[str] = 'auto',
    ) -> _LoadModel:
        """Load a checkpoint: diffusion model, text encoder and VAE.

        Weights are read into memory only when a node needs them.

        model: Name in a models folder, path of a diffusers folder or .safetensors file, or tiny for the model that ships with nodegraph.
        dtype: Precision in memory. auto is the precision of the file. On a CPU auto is float32, and bfloat16 for large models if this CPU is faster with it; the VAE stays float32. On a CPU without float16 arithmetic, float16 becomes float32. bfloat16 takes half the memory there, and is much slower on a CPU without bfloat16 arithmetic.
        prediction_type: What the model predicts, if its file does not say or is wrong: the noise (epsilon), v, or the clean sample. auto uses the value in the file.
        zero_terminal_snr: Whether the model was trained with zero terminal SNR. Sampling then starts from pure noise. auto uses the value in the file.
        storage: Storage format of the weights of the diffusion model and text encoder. auto keeps low-bit weights as in the file, and all others in the compute precision. full keeps all weights in the compute precision. float8, int8, int4 (NF4) and uint4 take less memory and more time. They change the image slightly, int4 and uint4 more. SpeedUp can multiply int8, float8 and uint4 without widening them.
        """

    def LoadMolecule(
        self,
        _name: str | None = None,
        /,
        *,
        path: str | Link[str],
        number: int | Link[int] = 0,
    ) -> _LoadMolecule:
        """Load a molecule from a file.

        path: SDF, MOL, PDB or SMILES file. Relative paths start from the inputs folder.
        number: Index of the molecule in an SDF or SMILES file with several, starting at 0.
        """

    def LoadPlot(
        self,
        _name: str | None = None,
        /,
        *,
        path: str | Link[str],
    ) -> _LoadPlot:
        """Load a plot from JSON of SavePlot, or from a table, for example a log of another tool.

        path: JSON, CSV or TSV file. Relative paths start from the inputs folder. In a table, the first line has the column names. The first column is x, the others are series.
        """

    def LoadPointCloud(
        self,
        _name: str | None = None,
        /,
        *,
        path: str | Link[str],
    ) -> _LoadPointCloud:
        """Load a point cloud from a file.

        path: PLY, GLB or OBJ file. The vertices of meshes are used. Relative paths start from the inputs folder.
        """

    def LoadRedux(
        self,
        _name: str | None = None,
        /,
        *,
        redux: str | Link[str],
        image_encoder: str | Link[str] = '',
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] | Link[str] = 'auto',
    ) -> _LoadRedux:
        """Load Flux.1 Redux, which turns images into prompt tokens for Flux.1.

        redux: Name under a models folder, or path: the folder in the diffusers layout, or the .safetensors file.
        image_encoder: SigLIP vision model, as a folder or .safetensors file. Empty uses the one in Redux's folder.
        dtype: Compute precision, as for LoadModel, but auto is always float32 on a CPU.
        """

    def LoadText(
        self,
        _name: str | None = None,
        /,
        *,
        path: str | Link[str],
    ) -> _LoadText:
        """Load a text from a file.

        path: A file in UTF-8. Relative paths start from the inputs folder.
        """

    def LoadTextEncoder(
        self,
        _name: str | None = None,
        /,
        *,
        family: _family__ | Link[str],
        file: str | Link[str],
        file_2: str | Link[str] = '',
        file_3: str | Link[str] = '',
        file_4: str | Link[str] = '',
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] | Link[str] = 'auto',
        storage: Literal['auto', 'full', 'float8', 'int8', 'int4', 'uint4'] | Link[str] = 'auto',
    ) -> _LoadTextEncoder:
        """Load the text encoder of a model from separate files, for example clip_l and t5xxl.

        The files may be in any order, because their content identifies them. Tokenizers are included,
        except those of Gemma and Llama, which are read from the models folders.

        family: The model family that the text encoder is for.
        file: Name in a models folder, or path. Accepted are a .safetensors or .gguf file, or a folder with a text encoder or a full checkpoint, from which only the text encoders are used.
        file_2: The second file, if the family has two encoders.
        file_3: The third file. Stable Diffusion 3 works without its T5.
        file_4: The fourth file.
        dtype: Precision in memory, as for LoadModel. With several files, auto uses the precision of the largest.
        storage: Storage format of the weights, as for LoadModel.
        """

    def LoadTextualInversion(
        self,
        _name: str | None = None,
        /,
        *,
        text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        embedding: str | Link[str],
        token: str | Link[str] = '',
    ) -> _LoadTextualInversion:
        """Add a textual inversion to a text encoder: a learned word for use in prompts.

        The word can be weighted in prompts like any other word. Write a backslash before each bracket
        in it: my style \\(v2\\).

        text_encoder: The text encoder of the model that the file was trained for.
        embedding: Name in a models folder or path of a .safetensors file.
        token: The word. If empty, the word in the file, or else the file name.
        """

    def LoadUpscaleModel(
        self,
        _name: str | None = None,
        /,
        *,
        model: str | Link[str] = 'tiny/upscaler',
    ) -> _LoadUpscaleModel:
        """Load an upscale or restoration model.

        Compact models (SRVGGNetCompact) need nothing else. ESRGAN, SwinIR, HAT, DAT, SPAN and many
        others need the package spandrel: pip install "nodegraph[upscale]".

        model: Name under a models folder or path of a .safetensors file. tiny/upscaler is included: it upscales images like those of the model tiny by 2. A .pth file works only if the settings allow pickle files.
        """

    def LoadVae(
        self,
        _name: str | None = None,
        /,
        *,
        vae: str | Link[str],
        latents: _latents | Link[str] = 'auto',
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] | Link[str] = 'auto',
    ) -> _LoadVae:
        """Load a VAE alone, for example a fine-tuned one or a tiny one.

        A tiny VAE (TAESD and similar ones) decodes in a fraction of the time, with slightly lower
        quality.

        vae: Name in a models folder, or a path. Accepted are a VAE file or diffusers folder, or a full checkpoint, from which only the VAE is used. For a tiny VAE in two files, select either file.
        latents: Latent format, if the file does not say. A VAE with four channels may be for Stable Diffusion (sd) or SDXL, one with 16 for Stable Diffusion 3 or Flux.1. The Wan VAE also fits Qwen-Image.
        dtype: Precision in memory, as for LoadModel.
        """

    def LoadVideo(
        self,
        _name: str | None = None,
        /,
        *,
        path: str | Link[str],
        first: int | Link[int] = 0,
        count: int | Link[int] = 0,
        every: int | Link[int] = 1,
        rate: float | Link[float] = 0.0,
    ) -> _LoadVideo:
        """Load a video from a file, with its audio.

        Frames of variable frame rate, as in videos of phones and screen recordings, are repeated to
        keep their timing.

        path: MP4, WebM, MOV, MKV, GIF and other formats. Relative paths start from the inputs folder.
        first: Number of frames to skip at the start.
        count: Maximum number of frames to load. 0 loads all.
        every: Load every n-th frame. The frame rate is divided by n.
        rate: Frames per second to resample to, before `first`, `count` and `every` apply. 0 keeps the rate of the file.
        """

    def LoadVisionModel(
        self,
        _name: str | None = None,
        /,
        *,
        model: str | Link[str],
        dtype: Literal['auto', 'float32', 'float16', 'bfloat16'] | Link[str] = 'auto',
    ) -> _LoadVisionModel:
        """Load a vision model for segmentation, matting, detection, depth, pose or captions.

        Folders in the transformers layout are supported. Segmentation: SAM, SAM-HQ, SAM 2, SAM 3,
        CLIPSeg, SegFormer, Mask2Former and other models with classes. Matting: ViTMatte. Depth: Depth
        Anything, DPT and GLPN. Pose: ViTPose. Detection: RT-DETR, D-FINE, YOLOS and DETR. Captions:
        BLIP and Florence-2.

        Files and folders are supported for BiRefNet, RMBG, ISNet and U²-Net, and files for Depth
        Anything V2, SAM, SAM 3 and SAM 3.1. YOLO detectors are ONNX files, which need the package
        onnxruntime: pip install "nodegraph[onnx]". Custom code in a folder is not run.

        model: Name in a models folder, for example segment/sam2-hiera-tiny or background_removal/birefnet.safetensors.
        dtype: Precision in memory, as for LoadModel, but auto is always float32 on a CPU.
        """

    def Logic(
        self,
        _name: str | None = None,
        /,
        *,
        a: bool | Link[bool],
        operation: Literal['and', 'or', 'xor', 'not'] | Link[str] = 'and',
        b: bool | Link[bool] = False,
    ) -> _Logic:
        """Combine two truth values: and, or, exclusive or (xor), or negate the first (not).

        a: First value.
        operation: The operation. not uses only the first value.
        b: Second value.
        """

    def LogitNormalSchedule(
        self,
        _name: str | None = None,
        /,
        *,
        steps: int | Link[int] = 20,
        width: int | Link[int] = 1024,
        height: int | Link[int] = 1024,
        mu: float | Link[float] = 0.0,
        std: float | Link[float] = 1.75,
    ) -> _LogitNormalSchedule:
        """Logit-normal noise schedule for an image size, as Ideogram 4 uses it.

        steps: Number of steps.
        width: Size of the image, in pixels. A larger image gets higher noise levels.
        height: Size of the image, in pixels. A larger image gets higher noise levels.
        mu: Mean of the logits of the levels, for 512 x 512.
        std: Standard deviation of the logits of the levels.
        """

    def LoraConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        lora: str | Link[str],
        strength: float | Link[float] = 1.0,
        schedule: str | Link[str] = '',
    ) -> _LoraConditioning:
        """Apply a LoRA to the model only while it evaluates this prompt.

        So each of several prompts can have its own LoRAs, in its own area of the image, and a LoRA can
        change its strength during the sampling. The weights of the model are shared. Prompts with
        different LoRAs are evaluated one after the other. Chain several of these nodes to combine
        LoRAs. Link the node to the negative prompt, too, if the LoRA should change the image and not
        only the difference of the prompts.

        The text encoder is not changed: load the LoRA with LoadEncoderLora before EncodePrompt.

        conditioning: The prompt.
        lora: Name in a models folder or path of a .safetensors file.
        strength: Strength on the model.
        schedule: Factors of the strength during the sampling, one per line. `0.5: 0.3` means 0.3 of the strength from half of the sampling on. Before the first line, its factor counts.
        """

    def MagCache(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        threshold: float | Link[float] = 0.06,
        most: int | Link[int] = 3,
        retained: float | Link[float] = 0.2,
        ratios: str | Link[str] = '',
    ) -> _MagCache:
        """Skip steps in which the model output changes little in magnitude (arXiv:2506.09045).

        The change from step to step is measured once for each model. diffusers includes the values for
        Flux.1.

        model: Model to change.
        threshold: Accumulated error above which all blocks are computed again.
        most: Maximum number of consecutive steps to skip.
        retained: Share of the sampling, from its start, in which all blocks are computed.
        ratios: Magnitude ratios of the residuals from step to step, over a whole sampling, as diffusers prints them with MagCacheConfig(calibrate=True). Empty for those of Flux.1.
        """

    def MagicWand(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        points: str | Link[str] = '0.5, 0.5',
        unit: Literal['shares', 'pixels'] | Link[str] = 'shares',
        tolerance: float | Link[float] = 0.1,
        connected: bool | Link[bool] = True,
    ) -> _MagicWand:
        """Mask the area that has the color of a given point.

        image: Any image. The points apply to all images of a batch.
        points: x and y of one or several points, for example 0.5, 0.5 or [[0.2, 0.3], [0.8, 0.3]].
        unit: Unit of the coordinates: shares of the image's sides, 0 to 1, or pixels.
        tolerance: Maximum difference of each of red, green and blue from this color.
        connected: Mask only pixels connected with the point. If off, all pixels of this color.
        """

    def MagnitudeGuider(
        self,
        _name: str | None = None,
        /,
        *,
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        cfg: float | Link[float] = 10.0,
        damping: float | Link[float] = 8.0,
    ) -> _MagnitudeGuider:
        """Magnitude-aware guidance (MAMBO-G): weaker where the predictions differ most.

        This is mainly the case in the first steps.

        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        damping: How fast the scale decreases as the predictions differ. 0 is plain guidance.
        """

    def MaskBounds(
        self,
        _name: str | None = None,
        /,
        *,
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        margin: int | Link[int] = 0,
        multiple_of: int | Link[int] = 1,
    ) -> _MaskBounds:
        """Return the bounding box of a mask as numbers, and how much of the image it covers.

        A batch has one box for all its masks. The box of an empty mask is 0 by 0.

        mask: Pixels above 0 count.
        margin: Margin in pixels around the box, limited to the image.
        multiple_of: Make width and height multiples of this, for example 8.
        """

    def MaskConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        mask: Link[Mask] | _Picture | Sequence[_Picture],
    ) -> _MaskConditioning:
        """Limit a prompt to the area where a mask is 1. Join several with CombineConditioning.

        Where no prompt applies, the empty prompt is used. If the prompt already has a mask or an area,
        the two are multiplied.

        conditioning: The prompt.
        mask: One mask. It is resized to the image if its size differs. If it is empty, the prompt applies nowhere.
        """

    def MaskFromBoxes(
        self,
        _name: str | None = None,
        /,
        *,
        boxes: str | Link[str] = '[[0.25, 0.25, 0.5, 0.5]]',
        image: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        width: int | Link[int] = 512,
        height: int | Link[int] = 512,
        unit: Literal['shares', 'pixels'] | Link[str] = 'shares',
        each: Literal['one mask', 'a mask each'] | Link[str] = 'one mask',
    ) -> _MaskFromBoxes:
        """Make a mask from boxes in text form, for example from a detector.

        boxes: Boxes as [[x, y, width, height], ...], or four numbers per line.
        image: The mask gets the size of this image. If not linked, width and height apply.
        width: Size in pixels, if no image is linked.
        height: Size in pixels, if no image is linked.
        unit: Shares of the image's sides, 0 to 1, or pixels.
        each: All boxes in one mask, or a batch with one mask per box.
        """

    def MaskFromChannel(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        channel: _channel_ | Link[str] = 'luminance',
    ) -> _MaskFromChannel:
        """Make a mask from the brightness, transparency or another channel of an image.

        image: Any image. An image without alpha is opaque everywhere.
        channel: Luminance weighs the colors by perceived brightness. Value is the brightest of the three colors.
        """

    def MaskFromColor(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        color: str | Link[str] = '#ffffff',
        tolerance: float | Link[float] = 0.1,
        softness: float | Link[float] = 0.0,
    ) -> _MaskFromColor:
        """Mask the pixels of a color.

        image: Any image.
        color: The color as #rrggbb or by name.
        tolerance: Maximum difference of each of red, green and blue. 0 masks only the exact color.
        softness: Range of differences above the tolerance over which the mask fades out.
        """

    def MaskOverlay(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        color: str | Link[str] = '#ff0000',
        opacity: float | Link[float] = 0.5,
    ) -> _MaskOverlay:
        """Show a mask as a color overlay on its image.

        image: Any image.
        mask: Any mask. It is scaled to the size of the image.
        color: Color of the overlay.
        opacity: Opacity of the overlay.
        """

    def MaskRegions(
        self,
        _name: str | None = None,
        /,
        *,
        regions: Link[Region] | Sequence[Out[Region]],
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        keep: Literal['inside', 'outside'] | Link[str] = 'inside',
    ) -> _MaskRegions:
        """Limit the masks of regions by another mask. The size of the regions stays.

        regions: The regions.
        mask: A mask for all of them, or a batch with one for each. It is scaled to the image.
        keep: The part of the regions' masks that stays.
        """

    def MaskToImage(
        self,
        _name: str | None = None,
        /,
        *,
        mask: Link[Mask] | _Picture | Sequence[_Picture],
    ) -> _MaskToImage:
        """Convert a mask to an image: white where the mask is 1.

        mask: Any mask.
        """

    def MatchColors(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        reference: Link[Image] | _Picture | Sequence[_Picture],
        method: Literal['mean and spread', 'histogram', 'covariance'] | Link[str] = 'mean and spread',
        amount: float | Link[float] = 1.0,
    ) -> _MatchColors:
        """Match the colors of images to a reference image.

        image: Images of any size.
        reference: One image for all, or one for each, of any size.
        method: Histogram gives the closest match, the other methods are more gentle.
        amount: Strength. 0 has no effect.
        """

    def MatchFirstFrames(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        frames: int | Link[int] = 4,
        reference: int | Link[int] = 5,
        statistics: Literal['joint', 'per frame'] | Link[str] = 'joint',
    ) -> _MatchFirstFrames:
        """Match the brightness and contrast of a video's first frames to those of the next frames.

        Videos that Kandinsky 5 generates from an image may begin differently. The mean and the standard
        deviation of the latent change, within limits.

        latent: The latent of a video. One with no more than these frames stays unchanged.
        frames: Number of latent frames to change, from the start.
        reference: Maximum number of latent frames after them to match.
        statistics: joint uses one mean for all frames and narrow limits, as diffusers. per frame uses one for each frame and wider limits, as ComfyUI.
        """

    def MergeModels(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        second: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        base: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel] | None = None,
        weight: float | Link[float] = 0.5,
        blocks: str | Link[str] = '',
        first_weight: float | Link[float] | None = None,
    ) -> _MergeModels:
        """Merge two models of one family into a new one.

        Without `base`, the result is the weighted sum model · (1 - weight) + second · weight. With
        `base`, the difference is added: model + weight · (second - base). LoRAs of the models are
        merged, too. The result is stored like trained weights, at the precision of the first model's
        files. SaveModel writes it as a file.

        model: The first model. Its noise schedule and settings are kept. To make a fine-tuned model paint inside masks, link an inpainting model here, the fine-tuned model as second, and the original model as base.
        second: The model to merge into it.
        base: The original model of `second`. Only what `second` has learned since then is added.
        weight: Weight of the second model. 0 is the first model, 1 the second.
        blocks: Other weights for some blocks, one per line, for example `down_blocks.0: 0.3`, `mid_block: 1` or `transformer_blocks.0-9: 0.2`. Blocks of UNets also have the names IN00 to IN11, MID and OUT00 to OUT11. A list of numbers alone is for all these blocks in this order, as block-weighted merges of other tools have it. A `?` after a name allows models without that block.
        first_weight: Weight of the first model, in place of 1 - weight (or of 1, with a base). With 1 and weight 1, the models are added; with 1 and -1, the result is their difference, which samples nothing by itself and can be added to another model.
        """

    def MergeTextEncoders(
        self,
        _name: str | None = None,
        /,
        *,
        text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        second: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        base: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder] | None = None,
        weight: float | Link[float] = 0.5,
        first_weight: float | Link[float] | None = None,
    ) -> _MergeTextEncoders:
        """Merge the text encoders of two models, as MergeModels does for diffusion models.

        text_encoder: The first text encoder. Its tokenizers and textual inversions are kept.
        second: The text encoder to merge into it.
        base: The original text encoder of `second`, to add only the difference.
        weight: Weight of the second text encoder.
        first_weight: Weight of the first text encoder, in place of 1 - weight (or of 1, with a base).
        """

    def MeshFromVoxels(
        self,
        _name: str | None = None,
        /,
        *,
        voxels: Link[Voxels] | _spatial_values.Voxels | Sequence[_spatial_values.Voxels],
        threshold: float | Link[float] = 0.6,
        algorithm: Literal['surface_net', 'blocks'] | Link[str] = 'surface_net',
    ) -> _MeshFromVoxels:
        """Make a closed mesh around the voxels above a threshold.

        The longest side of the grid spans -1 to 1.

        voxels: Grid of numbers, of at most 512 per side.
        threshold: Numbers above it are inside.
        algorithm: Surface nets give a smooth surface. Blocks give each voxel as a cube.
        """

    def MeshTurntable(
        self,
        _name: str | None = None,
        /,
        *,
        mesh: Link[Mesh] | _spatial_values.Mesh | Sequence[_spatial_values.Mesh] | Link[PointCloud] | _spatial_values.PointCloud | Sequence[_spatial_values.PointCloud],
        frames: int | Link[int] = 48,
        size: int | Link[int] = 384,
        rate: float | Link[float] = 24.0,
        elevation: float | Link[float] = 20.0,
    ) -> _MeshTurntable:
        """Render a turntable video of a mesh or point cloud: one full rotation.

        mesh: The mesh or point cloud. It is scaled to fit.
        frames: Number of frames.
        size: Side of the square frames in pixels.
        rate: Frames per second.
        elevation: Camera elevation in degrees.
        """

    def MixAudio(
        self,
        _name: str | None = None,
        /,
        *,
        audio: Link[Audio] | _values.Audio | Sequence[_values.Audio],
        other: Link[Audio] | _values.Audio | Sequence[_values.Audio],
        level: float | Link[float] = 1.0,
        start: float | Link[float] = 0.0,
    ) -> _MixAudio:
        """Mix two audio clips, so that both play at once. The result ends with the later one.

        audio: The first clip; its level does not change.
        other: The second clip, with the same sample rate, and the same number of channels or one channel.
        level: Factor for the samples of the second clip.
        start: Second at which the second clip begins.
        """

    def MixNoise(
        self,
        _name: str | None = None,
        /,
        *,
        noise: Link[Noise],
        seed: int | Link[int] = 0,
        share: float | Link[float] = 0.1,
    ) -> _MixNoise:
        """Mix noise with other noise. A small share gives variations of an image.

        noise: The first noise.
        seed: Seed of the second noise.
        share: Share of the second noise: 0 is only the first, 1 is only the second. The variance stays the same.
        """

    def ModelConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        strength: float | Link[float] = 1.0,
        schedule: str | Link[str] = '',
    ) -> _ModelConditioning:
        """Mix another model into the model of the sampling, only while it evaluates this prompt.

        So one area of an image can be drawn by another checkpoint, or the positive prompt alone. The
        weights of each mix are a copy as large as the model. LoRAs of the model stay at their
        strengths. Link the node to the negative prompt, too, if all of the image should come from the
        mix.

        The text encoder is not changed: mix it with MergeTextEncoders before EncodePrompt.

        conditioning: The prompt.
        model: The other model, of the same architecture. Its LoRAs count.
        strength: Share of the other model. 0 is the model of the sampling, 1 the other model.
        schedule: Factors of the strength during the sampling, one per line. `0.5: 0.3` means 0.3 of the strength from half of the sampling on. Before the first line, its factor counts.
        """

    def MoleculeConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        logp: float | Link[float] | None = None,
        qed: float | Link[float] | None = None,
        rings: int | Link[int] | None = None,
        atoms: int | Link[int] | None = None,
    ) -> _MoleculeConditioning:
        """Conditioning for a molecule model: the properties the molecules should have.

        Properties that are left out are not conditioned.

        logp: Preference for oil over water, as a power of ten: sugar has -3, benzene 1.7.
        qed: Drug-likeness, 0 to 1. Molecules this small have 0.3 to 0.6.
        rings: Number of rings.
        atoms: Number of atoms, without hydrogen.
        """

    def MoleculeFromSmiles(
        self,
        _name: str | None = None,
        /,
        *,
        smiles: str | Link[str],
        conformers: int | Link[int] = 1,
        seed: int | Link[int] = 0,
    ) -> _MoleculeFromSmiles:
        """Make a molecule from SMILES text, with 3D conformers.

        smiles: SMILES text, for example CC(=O)Oc1ccccc1C(=O)O for aspirin.
        conformers: Number of 3D conformers, with all hydrogens. 0 makes no atom positions.
        seed: Seed of the conformers.
        """

    def MoleculeProperties(
        self,
        _name: str | None = None,
        /,
        *,
        molecule: Link[Molecule] | _spatial_values.Molecule | Sequence[_spatial_values.Molecule],
    ) -> _MoleculeProperties:
        """Return the properties of a molecule: logP, drug-likeness, rings, atoms, mass.

        molecule: Any molecule. Atom positions do not matter.
        """

    def MoleculeStatistics(
        self,
        _name: str | None = None,
        /,
        *,
        molecules: Link[Molecule] | Sequence[Out[Molecule] | _spatial_values.Molecule],
        known: Link[Molecule] | Sequence[Out[Molecule] | _spatial_values.Molecule] | None = None,
        plotted: Literal['logp', 'qed', 'rings', 'atoms', 'mass'] | Link[str] = 'logp',
    ) -> _MoleculeStatistics:
        """Return statistics of molecules: how many are distinct and new, and their properties.

        molecules: At least one molecule.
        known: Molecules that do not count as new.
        plotted: Property to plot as a histogram.
        """

    def MorphImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        operation: _operation | Link[str] = 'erode',
        radius: int | Link[int] = 1,
    ) -> _MorphImage:
        """Apply a morphological operation to images. For masks, use GrowMask.

        image: Images of any size.
        operation: erode and dilate take the minimum and the maximum in a square. open removes small bright details, close small dark ones. gradient shows edges, top hat what open removes, bottom hat what close removes.
        radius: Pixels that the square reaches to each side. Its side is 2 · radius + 1.
        """

    def MotionConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        motion: _motion_ | Link[str] | None = None,
        amount: float | Link[float] | None = None,
    ) -> _MotionConditioning:
        """Conditioning for a motion model: how the object in an image should move.

        Use it with a model like tiny/motions, which knows images in the style of the model tiny: an
        object on a plain background. Inputs that are left out are not conditioned.

        image: The first frame. Its center is scaled to 64 x 64 pixels.
        vae: The VAE of the model tiny.
        motion: The motion of the object. With tiny/motions, rotation and shrinking give the softest images.
        amount: Amount of motion. 1 is a shift by a fifth of the image's side, a quarter turn, or a scale to 1.5 or 0.5 times the size.
        """

    def NegativeModel(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
    ) -> _NegativeModel:
        """Use another model for the negative prompt, for example the base model without a LoRA.

        Both models are in memory at once. To guide by a weaker model's prediction for the positive
        prompt, use AutoGuidance.

        guider: A guider with a negative prompt and a scale above 1.
        model: A model of the same family, loaded in the same precision.
        """

    def NoNoise(
        self,
        _name: str | None = None,
        /,
        *,
        seed: int | Link[int] = 0,
        draw: Literal['per item', 'per batch', 'per batch, one seed'] | Link[str] = 'per item',
    ) -> _NoNoise:
        """Add no noise: sampling continues from the latent as it is.

        Use it for a latent with leftover noise.

        seed: Seed of the noise that samplers draw during sampling. The seed of the previous sampling continues its noise sequence.
        draw: How samplers draw noise during sampling, as for RandomNoise.
        """

    def NoiseImage(
        self,
        _name: str | None = None,
        /,
        *,
        width: int | Link[int] = 512,
        height: int | Link[int] = 512,
        kind: Literal['uniform', 'gaussian', 'clouds'] | Link[str] = 'clouds',
        size: float | Link[float] = 128.0,
        seed: int | Link[int] = 0,
        batch: int | Link[int] = 1,
        in_color: bool | Link[bool] = True,
    ) -> _NoiseImage:
        """Generate random images: static noise, or clouds.

        width: Size in pixels.
        height: Size in pixels.
        kind: Uniform or Gaussian static noise, or clouds.
        size: Size of the largest clouds in pixels.
        seed: Random seed.
        batch: Number of images. Each has the next seed.
        in_color: Color instead of gray.
        """

    def NormGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        strength: float | Link[float] = 1.0,
    ) -> _NormGuidance:
        """Limit the norm of the guided prediction to that of the positive prediction (CFGNorm).

        The limit applies to each latent cell, so that high scales do not cause overexposed spots.

        guider: The guider to change.
        strength: Additional factor for the predicted latent. 1 has no effect.
        """

    def NormalMap(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        strength: float | Link[float] = 4.0,
        green: Literal['up', 'down'] | Link[str] = 'up',
    ) -> _NormalMap:
        """Compute a normal map from a height or depth map.

        image: A height or depth map. Bright is high, or near.
        strength: Steepness of the slopes.
        green: Direction of full green: up as in OpenGL, or down as in DirectX.
        """

    def Number(
        self,
        _name: str | None = None,
        /,
        *,
        value: float | Link[float] = 0.0,
    ) -> _Number:
        """A number that can be linked to several inputs.

        value: The number.
        """

    def NumberList(
        self,
        _name: str | None = None,
        /,
        *,
        numbers: str | Link[str] = '1, 2, 3',
    ) -> _NumberList:
        """Make a list of numbers from text.

        numbers: Numbers separated by commas, semicolons or spaces.
        """

    def NumberRange(
        self,
        _name: str | None = None,
        /,
        *,
        start: float | Link[float] = 0.0,
        end: float | Link[float] = 1.0,
        count: int | Link[int] = 5,
    ) -> _NumberRange:
        """Return evenly spaced numbers between two limits, both included.

        start: The first number.
        end: The last number.
        count: How many numbers. For 1, only the first is returned.
        """

    def PadForOutpaint(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        left: int | Link[int] = 0,
        top: int | Link[int] = 0,
        right: int | Link[int] = 64,
        bottom: int | Link[int] = 0,
        feather: float | Link[float] = 16.0,
        fill: Literal['edge', 'mirror', 'color', 'noise'] | Link[str] = 'edge',
        color: str | Link[str] = '#808080',
        seed: int | Link[int] = 0,
        fade: Literal['linear', 'quadratic'] | Link[str] = 'linear',
    ) -> _PadForOutpaint:
        """Pad an image for outpainting, and return a mask of the new area.

        image: Any image.
        left: Pixels to add on each side.
        top: Pixels to add on each side.
        right: Pixels to add on each side.
        bottom: Pixels to add on each side.
        feather: Width in pixels over which the mask fades into the original image.
        fill: Initial content of the new area: the edge repeated, the image mirrored, a color, or colored noise.
        color: Color of the fill, for the fill by color.
        seed: Seed of the noise.
        fade: Linear fades evenly. Quadratic fades more slowly with the distance.
        """

    def PadImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        left: int | Link[int] = 0,
        top: int | Link[int] = 0,
        right: int | Link[int] = 0,
        bottom: int | Link[int] = 0,
        border: Literal['color', 'edge', 'reflect', 'wrap'] | Link[str] = 'color',
        color: str | Link[str] = 'black',
    ) -> _PadImage:
        """Add a border around images.

        image: Images of any size.
        left: Pixels to add on each side.
        top: Pixels to add on each side.
        right: Pixels to add on each side.
        bottom: Pixels to add on each side.
        border: Content of the border: a color, the edge pixels, the mirrored image, or the repeated image.
        color: Border color. A transparent color like #00000000 gives images with alpha.
        """

    def PasteRegions(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        regions: Link[Region] | Sequence[Out[Region]],
        parts: Link[Image] | Sequence[Out[Image] | _Picture],
        feather: int | Link[int] = 5,
        softness: float | Link[float] = 10.0,
        opacity: float | Link[float] = 1.0,
    ) -> _PasteRegions:
        """Paste parts into an image where the masks of regions are.

        All pixels that no softened mask reaches stay bit-identical.

        image: The image.
        regions: The regions.
        parts: An image for each region, scaled to its size.
        feather: Pixels over which the edges of the masks fade, to both sides.
        softness: Deviation of the Gaussian that softens the edges, in pixels.
        opacity: Opacity of the parts.
        """

    def PathParts(
        self,
        _name: str | None = None,
        /,
        *,
        path: str | Link[str],
    ) -> _PathParts:
        """Split a file path: fruit/apple.png gives the folder fruit, apple.png, apple and .png.

        path: A path with / or \\ between folders.
        """

    def PatternImage(
        self,
        _name: str | None = None,
        /,
        *,
        width: int | Link[int] = 512,
        height: int | Link[int] = 512,
        pattern: Literal['checker', 'stripes', 'grid', 'dots'] | Link[str] = 'checker',
        size: int | Link[int] = 32,
        color: str | Link[str] = 'black',
        background: str | Link[str] = 'white',
    ) -> _PatternImage:
        """Generate a pattern of squares, stripes, lines or dots.

        width: Size in pixels.
        height: Size in pixels.
        pattern: Kind of pattern.
        size: Size of a square or stripe, or distance between lines, in pixels.
        color: Foreground color.
        background: Background color.
        """

    def PerturbedAttentionGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        scale: float | Link[float] = 3.0,
        layers: str | Link[str] = '',
        start: float | Link[float] = 0.0,
        end: float | Link[float] = 1.0,
    ) -> _PerturbedAttentionGuidance:
        """Perturbed-attention guidance (PAG): clearer structure.

        It guides away from the prediction of the model with self-attention switched off in some layers.
        It works without a prompt and on top of any guider, and needs one more model evaluation per
        step.

        guider: The guider to extend.
        scale: Scale of this guidance.
        layers: Layers to change: block numbers of a transformer (`7, 8, 9`, `single.3`), or parts of a UNet (`mid`, `down.1`, `up.0.2`). Empty uses the middle of the network.
        start: Part of the sampling in which it applies, 0 to 1.
        end: Part of the sampling in which it applies, 0 to 1.
        """

    def PickJson(
        self,
        _name: str | None = None,
        /,
        *,
        text: str | Link[str],
        path: str | Link[str] = '',
        missing: Literal['error', 'empty'] | Link[str] = 'error',
    ) -> _PickJson:
        """Read part of a JSON text: a text, a number, true or false, or a list of these.

        text: The JSON text.
        path: Path of the part, for example images[0].seed. Empty for the whole text.
        missing: What a missing part gives: an error, or an empty text.
        """

    def PixelateImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        size: int | Link[int] = 8,
    ) -> _PixelateImage:
        """Pixelate images into squares.

        image: Images of any size. Alpha is pixelated too.
        size: Side of the squares in pixels.
        """

    def PlotBetas(
        self,
        _name: str | None = None,
        /,
        *,
        beta_schedule: Literal['scaled_linear', 'linear', 'squaredcos_cap_v2'] | Link[str] = 'scaled_linear',
        beta_start: float | Link[float] = 0.00085,
        beta_end: float | Link[float] = 0.012,
        timesteps: int | Link[int] = 1000,
        width: int | Link[int] = 640,
        height: int | Link[int] = 360,
    ) -> _PlotBetas:
        """Plot a training noise schedule: beta, alpha bar and sigma by timestep.

        Beta is the variance that a timestep adds. Alpha bar is the share of the image's variance that
        is left. Sigma is the ratio of noise to image.

        beta_schedule: How beta rises. The cosine schedule (squaredcos) ignores beta_start and beta_end.
        beta_start: First and last beta. The defaults are those of Stable Diffusion 1.x.
        beta_end: First and last beta. The defaults are those of Stable Diffusion 1.x.
        timesteps: Number of training timesteps.
        width: Size of the plot, in pixels.
        height: Size of the plot, in pixels.
        """

    def PlotSchedule(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        steps: int | Link[int] = 20,
        sampler: _reference_sampler | Link[str] = 'dpmpp_2m',
        schedule: _schedule | Link[str] = 'karras',
        denoise: float | Link[float] = 1.0,
        width: int | Link[int] = 640,
        height: int | Link[int] = 360,
        denoise_steps: Literal['share', 'all'] | Link[str] = 'share',
        convention: Literal['diffusers', 'comfyui'] | Link[str] = 'diffusers',
    ) -> _PlotSchedule:
        """Plot the noise levels and timesteps that KSampler uses with the same settings.

        model: The model whose noise levels are used.
        steps: Number of steps of the whole schedule.
        sampler: The sampling method. Some methods place their steps differently.
        schedule: The noise schedule.
        denoise: Share of the schedule that is run.
        width: Size of the plot, in pixels.
        height: Size of the plot, in pixels.
        denoise_steps: How steps are counted when denoise is below 1, as for KSampler.
        convention: As for KSampler.
        """

    def PlotValues(
        self,
        _name: str | None = None,
        /,
        *,
        values: list[float] | Link[float] | Sequence[float | Out[float]],
        name: str | Link[str] = '',
        kind: Literal['line', 'points', 'bars'] | Link[str] = 'line',
        x: list[float] | Link[float] | Sequence[float | Out[float]] | None = None,
        categories: list[str] | Link[str] | Sequence[str | Out[str]] | None = None,
        title: str | Link[str] = '',
        x_label: str | Link[str] = '',
        y_label: str | Link[str] = '',
        x_scale: Literal['linear', 'log'] | Link[str] = 'linear',
        y_scale: Literal['linear', 'log'] | Link[str] = 'linear',
        low: list[float] | Link[float] | Sequence[float | Out[float]] | None = None,
        high: list[float] | Link[float] | Sequence[float | Out[float]] | None = None,
        note: str | Link[str] = '',
    ) -> _PlotValues:
        """Plot a list of numbers as a line, points or bars.

        values: Values to plot. A number that is not finite leaves a gap.
        name: Name of the series in the legend, if there are several series.
        kind: How the values are drawn.
        x: The x positions. 0, 1, 2, … if not linked.
        categories: Category name of each value, instead of x.
        title: Title above the plot.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        x_scale: Scale of the horizontal axis.
        y_scale: Scale of the vertical axis. On log, values that are not above 0 leave a gap.
        low: Lower end of the interval of each value, for example a confidence interval.
        high: Upper end of the interval.
        note: Note below the plot, for example what the intervals mean.
        """

    def PointsFromMesh(
        self,
        _name: str | None = None,
        /,
        *,
        mesh: Link[Mesh] | _spatial_values.Mesh | Sequence[_spatial_values.Mesh],
        count: int | Link[int] = 2048,
        seed: int | Link[int] = 0,
    ) -> _PointsFromMesh:
        """Sample points evenly on the surface of a mesh, with its colors.

        mesh: A mesh with a surface area above 0.
        count: Number of points.
        seed: Seed of the points. The same seed gives the same points.
        """

    def PolyexponentialSchedule(
        self,
        _name: str | None = None,
        /,
        *,
        steps: int | Link[int] = 20,
        rho: float | Link[float] = 1.0,
        sigma_max: float | Link[float] | None = None,
        sigma_min: float | Link[float] | None = None,
    ) -> _PolyexponentialSchedule:
        """Polyexponential noise schedule: polynomial in log sigma, as in k-diffusion.

        steps: Number of steps.
        rho: 1 spaces the levels evenly in log sigma. Larger values place more of them at low noise.
        sigma_max: The largest and the smallest noise level. If left out, those of the model.
        sigma_min: The largest and the smallest noise level. If left out, those of the model.
        """

    def PositiveBiasedGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
    ) -> _PositiveBiasedGuidance:
        """Follow the positive prompt's direction more than the difference from the negative (Mahiro).

        The less alike both predictions are, the more of the scaled positive prediction is used. Without
        a negative prompt it has no effect.

        guider: The guider to change, with a scale above 1.
        """

    def PosterizeImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        levels: int | Link[int] = 4,
    ) -> _PosterizeImage:
        """Reduce each channel to a small number of levels.

        image: Images of any size.
        levels: Levels per channel, from black to white.
        """

    def PredictImage(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        schedule: Link[Schedule],
    ) -> _PredictImage:
        """Turn the latent of an image into that of another image with a single evaluation of a model.

        For models that were trained to estimate depth, surface normals or albedo in one step, without
        noise, such as Marigold 2.

        model: A flow model that was trained for it, mostly with a LoRA.
        conditioning: The prompt that it was trained with, mostly of LoadConditioning.
        latent: The latent of the image, from VAEEncode.
        schedule: A ListedSchedule with the noise level to evaluate the model at, and 0.
        """

    def PredictOnce(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        cfg: float | Link[float] = 4.0,
    ) -> _PredictOnce:
        """Evaluate a model once on a noisy latent and return the parts of its prediction.

        Nothing is sampled. All outputs are latents, so VAEDecode can show them as images.

        model: The diffusion model that removes the noise.
        positive: The prompt: what the image should show.
        negative: The negative prompt: what the image should not show. If not linked, the empty prompt is used.
        latent: A noisy latent, from AddNoise or from a sampling that stopped early.
        cfg: Guidance scale of clean and noise.
        """

    def Preprocess(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        preprocessor: Link[Preprocessor],
        resolution: int | Link[int] = 0,
    ) -> _Preprocess:
        """Apply a ControlNet preprocessor to images.

        image: Any image.
        preprocessor: A preprocessor, from SelectPreprocessor or a node of a pack.
        resolution: Shorter side in pixels at which it works. 0 uses the size of the image. The result always has the size of the image.
        """

    def PreviewImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
    ) -> _PreviewImage:
        """Show images without saving them to the output folder.

        image: The images. Each image of a batch is shown.
        """

    def PreviewPlot(
        self,
        _name: str | None = None,
        /,
        *,
        plot: Link[Plot] | _plots.Plot | Sequence[_plots.Plot],
    ) -> _PreviewPlot:
        """Show a plot without saving it.

        plot: The plot.
        """

    def ProjectedGuider(
        self,
        _name: str | None = None,
        /,
        *,
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        cfg: float | Link[float] = 10.0,
        momentum: float | Link[float] = -0.5,
        longest: float | Link[float] = 10.0,
        along: float | Link[float] = 0.0,
    ) -> _ProjectedGuider:
        """Adaptive projected guidance (APG): high scales without oversaturated colors.

        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        momentum: Share of the earlier steps' guidance that is kept. Negative values push away from it.
        longest: Maximum norm of the difference between positive and negative prediction. 0 means no limit.
        along: Weight of the component parallel to the positive prediction. At 1, without momentum and norm limit, it is plain guidance.
        """

    def QuantizeImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        colors: int | Link[int] = 16,
        palette: str | Link[str] = '',
        dither: Literal['none', 'floyd-steinberg', 'ordered'] | Link[str] = 'none',
    ) -> _QuantizeImage:
        """Reduce images to a small number of colors.

        image: The images. Each image of a batch gets a separate palette.
        colors: Number of colors.
        palette: Fixed colors to use instead, for example black white #ff8800.
        dither: How colors in between are simulated by dots.
        """

    def QuantizeModel(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        storage: Literal['float8', 'int8', 'int4', 'uint4', 'full'] | Link[str] = 'int8',
    ) -> _QuantizeModel:
        """Store a model's weights in fewer bits: it needs less memory, and results differ slightly.

        It has the same effect as the storage of LoadModel. Measure the loss of quality with
        CompareSamplings.

        model: The model to quantize. If other nodes use the unquantized model, both copies are in memory.
        storage: float8 and int8 use one byte per weight, int4 and uint4 about 4.5 bits. full is the compute precision. Norms, embeddings and similar layers keep full precision; with int4 and uint4, convolutions too.
        """

    def RandomNoise(
        self,
        _name: str | None = None,
        /,
        *,
        seed: int | Link[int] = 0,
        draw: Literal['per item', 'per batch', 'per batch, one seed'] | Link[str] = 'per item',
    ) -> _RandomNoise:
        """Random noise from a seed, drawn as in KSampler.

        seed: Seed of the noise of the first item. Each following item uses the next seed.
        draw: How noise is drawn. per item: each item has a seed. per batch: one draw from seed for the whole batch, and noise during sampling from seed + 1, as in ComfyUI. per batch, one seed: the same, with noise during sampling from seed itself, as in older versions of ComfyUI.
        """

    def RandomNumber(
        self,
        _name: str | None = None,
        /,
        *,
        seed: int | Link[int] = 0,
        low: float | Link[float] = 0.0,
        high: float | Link[float] = 1.0,
    ) -> _RandomNumber:
        """Draw a random number between two limits. The same seed gives the same number.

        seed: Seed of the draw.
        low: Limits. The whole number is between low and high, both included, with equal probability.
        high: Limits. The whole number is between low and high, both included, with equal probability.
        """

    def RandomPrompt(
        self,
        _name: str | None = None,
        /,
        *,
        text: str | Link[str],
        seed: int | Link[int] = 0,
        syntax: Literal['dynamic prompts', 'comfyui'] | Link[str] = 'dynamic prompts',
    ) -> _RandomPrompt:
        """Draw a random prompt from a template: {red|green|blue} is one choice, __animal__ a line of a
        file.

        {3::red|green} draws red three times as often. {2$$red|green|blue} draws two choices, {1-2$$ and
        $$red|green} one or two, joined by " and ". __pets/small__ draws a line of
        wildcards/pets/small.txt in the inputs folder, which may contain choices, too. \\{ \\} \\_ are
        plain characters. Link a SeedRange to the seed to get many prompts.

        text: The template.
        seed: Seed of the draw. The same seed gives the same prompt as long as the files are the same.
        syntax: The syntax above, or comfyui. comfyui reads prompts as the ComfyUI page does, with // and /* */ comments, but without weights, counts and files. Imports of workflows set it.
        """

    def Range(
        self,
        _name: str | None = None,
        /,
        *,
        stop: int | Link[int] = 4,
        start: int | Link[int] = 0,
        step: int | Link[int] = 1,
    ) -> _Range:
        """Return evenly spaced whole numbers.

        stop: The end, which is not included.
        start: The first number.
        step: Difference between neighbors. Negative values count down.
        """

    def ReadWatermark(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
    ) -> _ReadWatermark:
        """Read the invisible watermark of an image.

        Of a batch, the first image with a watermark counts. A checksum prevents wrong readings.

        image: The image; it may be compressed, resized or cropped.
        """

    def ReferenceLatents(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent] | None = None,
        places: Literal['auto', 'offset', 'index'] | Link[str] = 'auto',
        still: bool | Link[bool] = False,
    ) -> _ReferenceLatents:
        """Add reference images for an editing model: Flux.1 Kontext, Flux.2 or Qwen-Image-Edit.

        Chain several of these nodes to add several images.

        conditioning: The edit prompt. A negative prompt uses the references of the positive one.
        latent: The images, encoded by the VAE of the model. Their size may differ from that of the result. If not linked, the node only sets the placement of the references added before.
        places: How Flux.1 Kontext tells several references apart. auto and offset place them side by side. index numbers them, as some LoRAs were trained with. Other models need no setting.
        still: Use timestep 0 for the references, as Qwen-Image-Edit Plus 2511 was trained. It is set automatically for its folders, and for files that ComfyUI marks.
        """

    def ReferenceToVideoConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        text: str | Link[str] = '',
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae] | None = None,
        audio_vae: Link[Vae] | _values.Vae | Sequence[_values.Vae] | None = None,
        images: Link[Image] | Sequence[Out[Image] | _Picture] | None = None,
        videos: Link[Image] | Sequence[Out[Image] | _Picture] | None = None,
        soundtracks: Link[Audio] | Sequence[Out[Audio] | _values.Audio] | None = None,
        audios: Link[Audio] | Sequence[Out[Audio] | _values.Audio] | None = None,
        width: int | Link[int] = 1344,
        height: int | Link[int] = 768,
        frames: int | Link[int] = 124,
        image_size: Literal['video', '2048'] | Link[str] = 'video',
    ) -> _ReferenceToVideoConditioning:
        """Encode a prompt that refers to images, videos and sound, for MiniMax H3 (ref2va).

        The text calls them <Picture 1>, <Video 1> and <Audio 1>, and so on. The soundtrack of a video
        counts among the audios, before those that stand alone. The latent is empty.

        encoder: The text encoder of MiniMax H3.
        text: The prompt.
        vae: The VAE of the model. Without it, only the text encoder sees the images and videos.
        audio_vae: The VAE that encodes sound, which may be the same.
        images: Up to 9 images of any size. Of a batch, the first is used.
        videos: Up to 3 videos at 24 frames per second. They are cut to the length of the video and to a multiple of 17 frames plus 5.
        soundtracks: The sound of the videos, in their order.
        audios: Up to 3 sounds, such as voices.
        width: Size of the video in pixels: multiples of 32.
        height: Size of the video in pixels: multiples of 32.
        frames: Number of frames: a multiple of 17 plus 5.
        image_size: Size that the model sees the images in: no larger than the video, or with a shorter side of 2048 pixels, which takes far longer.
        """

    def RefineMask(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[VisionModel],
        image: Link[Image] | _Picture | Sequence[_Picture],
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        width: int | Link[int] = 10,
    ) -> _RefineMask:
        """Refine the edge of a mask, for example for hair, with ViTMatte.

        Use it with SetAlpha to remove a background.

        model: ViTMatte, from LoadVisionModel.
        image: Any image.
        mask: A mask that is correct except at its edge. It is scaled to the size of the image.
        width: Width in pixels on both sides of the edge that is computed anew.
        """

    def RegionsFromMask(
        self,
        _name: str | None = None,
        /,
        *,
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        crop: float | Link[float] = 3.0,
        smallest: int | Link[int] = 10,
        joined: bool | Link[bool] = False,
        boxes: bool | Link[bool] = False,
        fill_holes: bool | Link[bool] = False,
        order: Literal['from the top', 'from the bottom'] | Link[str] = 'from the top',
    ) -> _RegionsFromMask:
        """Make a region around each connected part of a mask.

        mask: The mask. Each mask of a batch has its own regions.
        crop: Size of a region, as a multiple of the part's box.
        smallest: Parts whose width or height in pixels is not above this are left out.
        joined: Make one region of all parts of a mask.
        boxes: Mask the whole box of each part.
        fill_holes: Mask the holes of each part, too.
        order: Which parts come first.
        """

    def RegionsMask(
        self,
        _name: str | None = None,
        /,
        *,
        regions: Link[Region] | Sequence[Out[Region]],
        image: Link[Image] | _Picture | Sequence[_Picture] | None = None,
    ) -> _RegionsMask:
        """Join the masks of regions into one mask of the image.

        regions: The regions.
        image: An image of the size of the mask, for the case that there is no region.
        """

    def RemoveBackground(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        tolerance: float | Link[float] = 0.1,
        softness: float | Link[float] = 1.0,
    ) -> _RemoveBackground:
        """Make the even background of an image transparent, for example a white one.

        For a complex background use ForegroundMask. Or mask the object with SelectByBox, SelectByPoints
        or SegmentAnything, and use SetAlpha.

        image: An image whose border is background.
        tolerance: Maximum difference of each of red, green and blue from the colors of the border.
        softness: Width in pixels over which the edge fades inwards.
        """

    def RemoveDuplicates(
        self,
        _name: str | None = None,
        /,
        *,
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        by: Literal['pixels', 'structure', 'meaning'] | Link[str] = 'pixels',
        distance: float | Link[float] = 0.05,
        encoder: Link[ImageEncoder] | _values.ImageEncoder | Sequence[_values.ImageEncoder] | None = None,
        within_label: bool | Link[bool] = False,
    ) -> _RemoveDuplicates:
        """Remove near-duplicate images. The first of each group is kept.

        dataset: The dataset. All of its images are read.
        by: Pixels compares small copies. Structure compares where brightness rises and falls, independent of color and size (dHash). Meaning compares image embeddings.
        distance: Maximum distance of duplicates: the mean difference of pixels, the share of 64 hash bits, or 1 minus the cosine similarity of embeddings.
        encoder: Image encoder for meaning, for example CLIP's.
        within_label: Compare only images of the same class.
        """

    def RemoveFrameGuides(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
    ) -> _RemoveFrameGuides:
        """Remove the guides of AddFrameGuide from a latent, for example before it is sampled again.

        latent: The latent of a video. Its samples do not change.
        """

    def RenormalizeGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        limit: float | Link[float] = 1.0,
    ) -> _RenormalizeGuidance:
        """Limit the norm of the whole guided prediction (RenormCFG).

        Unlike NormGuidance, it scales the whole image by one factor, and cells keep their proportions.

        guider: The guider to change.
        limit: Maximum norm, as a multiple of the norm of the positive prediction.
        """

    def ReorderList(
        self,
        _name: str | None = None,
        /,
        *,
        items: list[Any] | Link[Any] | Sequence[Any | Out[Any]],
        order: _order | Link[str] = 'reversed',
        seed: int | Link[int] = 0,
    ) -> _ReorderList:
        """Sort, reverse or shuffle a list.

        items: The list.
        order: Sorting orders numbers by value and texts alphabetically, without regard to case.
        seed: Seed of the shuffle.
        """

    def Repeat(
        self,
        _name: str | None = None,
        /,
        *,
        state: Any,
        body: str | BuiltSubgraph,
        times: int | Link[int] = 4,
        **inputs: Any,
    ) -> _Repeat:
        """Run a subgraph several times, and pass its result on to the next run.

        The subgraph takes a `state`, and optionally its number as `index`, and returns the next
        `state`. Its other inputs become inputs of this node. The outputs are the last state, and all
        states.

        state: The state of the first run.
        body: Name of the subgraph.
        times: Number of runs.
        """

    def RepeatExamples(
        self,
        _name: str | None = None,
        /,
        *,
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        repeats: int | Link[int] = 1,
        balance: bool | Link[bool] = False,
        weight: float | Link[float] = 1.0,
    ) -> _RepeatExamples:
        """Set how often examples are used per epoch, for example to repeat rare classes.

        dataset: The dataset. Its previous repeats are replaced.
        repeats: Number of repeats per epoch.
        balance: Repeat rare classes more often, so that each class has about the same share of an epoch.
        weight: Loss weight of these examples.
        """

    def RepeatImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        times: int | Link[int] = 2,
    ) -> _RepeatImage:
        """Repeat images in one batch.

        image: An image, or a batch, which is repeated as a whole.
        times: Number of repeats.
        """

    def RepeatItems(
        self,
        _name: str | None = None,
        /,
        *,
        items: list[Any] | Link[Any] | Sequence[Any | Out[Any]],
        times: int | Link[int] = 2,
        each: bool | Link[bool] = False,
    ) -> _RepeatItems:
        """Repeat a list several times.

        items: The list.
        times: Number of repetitions.
        each: Repeat each item before the next one, instead of repeating the whole list.
        """

    def RepeatLatent(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        times: int | Link[int] = 2,
    ) -> _RepeatLatent:
        """Repeat a latent in a batch. Each copy draws different noise.

        latent: A single latent or a batch, which is repeated as a whole.
        times: Number of copies.
        """

    def ReplaceLatentFrames(
        self,
        _name: str | None = None,
        /,
        *,
        destination: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        source: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        index: int | Link[int] = 0,
    ) -> _ReplaceLatentFrames:
        """Replace some latent frames of a video by those of another.

        destination: The latent of a video.
        source: The latent of a video or an image of the same size, with fewer frames.
        index: Latent frame that the first one replaces, starting at 0. Negative values count from the end.
        """

    def ReplaceText(
        self,
        _name: str | None = None,
        /,
        *,
        text: str | Link[str],
        find: str | Link[str],
        replacement: str | Link[str] = '',
        regex: bool | Link[bool] = False,
        ignore_case: bool | Link[bool] = False,
        most: int | Link[int] = 0,
    ) -> _ReplaceText:
        """Replace text in a text.

        text: The text.
        find: Text to find.
        replacement: Replacement for each match. With a regular expression, \\1 is its first group.
        regex: Whether the text to find is a regular expression.
        ignore_case: Whether to ignore upper and lower case.
        most: Maximum number of replacements, from the start. 0 replaces all.
        """

    def ResampleAudio(
        self,
        _name: str | None = None,
        /,
        *,
        audio: Link[Audio] | _values.Audio | Sequence[_values.Audio],
        rate: int | Link[int] = 48000,
    ) -> _ResampleAudio:
        """Convert audio to another sample rate. Length and pitch do not change.

        audio: Audio with 1,000 to 384,000 samples per second.
        rate: New sample rate, in samples per second.
        """

    def RescaleGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        rescale: float | Link[float] = 0.7,
        of: Literal['output', 'velocity'] | Link[str] = 'output',
    ) -> _RescaleGuidance:
        """Rescale a guider's prediction to the standard deviation of the positive prompt's.

        It prevents overexposed images at high guidance scales.

        guider: The guider to change.
        rescale: Strength of the rescaling. Use 0.7 for models trained with zero terminal SNR.
        of: Quantity that is rescaled: the network's output, or its velocity, as in ComfyUI. For models that predict velocities both are the same.
        """

    def ResizeDataset(
        self,
        _name: str | None = None,
        /,
        *,
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        mode: Literal['one size', 'buckets'] | Link[str] = 'buckets',
        width: int | Link[int] = 512,
        height: int | Link[int] = 0,
        fit: Literal['crop', 'pad', 'stretch'] | Link[str] = 'crop',
        multiple: int | Link[int] = 64,
        max_aspect: float | Link[float] = 2.0,
        enlarge: bool | Link[bool] = True,
    ) -> _ResizeDataset:
        """Set the size of training images: one size, or aspect-ratio buckets.

        dataset: The dataset. Its files are not changed.
        mode: Buckets are sizes of about the same area with different aspect ratios, so that little is cropped.
        width: Width in pixels. For buckets, the side of the square bucket.
        height: Height in pixels, for one size only. 0 means the same as the width.
        fit: How an image is fitted to one size.
        multiple: Sides of buckets are multiples of this value.
        max_aspect: Maximum aspect ratio of buckets, longer to shorter side.
        enlarge: Enlarge small images to their bucket size.
        """

    def ResizeImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        width: int | Link[int] = 512,
        height: int | Link[int] = 512,
        method: Literal['lanczos', 'bicubic', 'bilinear', 'area', 'nearest'] | Link[str] = 'lanczos',
        fit: Literal['stretch', 'crop', 'pad', 'inside', 'outside'] | Link[str] = 'stretch',
        like: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        multiple_of: int | Link[int] = 1,
        fill: str | Link[str] = 'black',
    ) -> _ResizeImage:
        """Resize images to a given size.

        image: Images of any size.
        width: Size in pixels. 0 keeps the aspect ratio.
        height: Size in pixels. 0 keeps the aspect ratio.
        method: Interpolation. Nearest keeps pixel values unchanged.
        fit: Stretch ignores the aspect ratio. The others keep it: crop cuts off the excess, pad fills the missing area, inside stays within the size, and outside covers it.
        like: An image whose size is used instead.
        multiple_of: Sides are rounded to multiples of this value.
        fill: Padding color. A transparent color gives images with alpha.
        """

    def ResizeLatent(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        factor: float | Link[float] = 1.5,
        width: int | Link[int] = 0,
        height: int | Link[int] = 0,
        method: Literal['bislerp', 'bicubic', 'bilinear', 'area', 'nearest'] | Link[str] = 'bislerp',
    ) -> _ResizeLatent:
        """Scale a latent, for example for a hires fix: then sample it with denoise 0.4 to 0.7.

        latent: Any latent. An empty one works, too. Its noise mask is scaled, too.
        factor: Scale factor of the sides. The result is rounded to whole cells, usually of 8 pixels.
        width: Size in pixels, used instead of the factor. If one is 0, the aspect ratio is kept.
        height: Size in pixels, used instead of the factor. If one is 0, the aspect ratio is kept.
        method: Interpolation. Bislerp interpolates along an arc and keeps contrast. Bicubic and bilinear soften, area averages, nearest repeats.
        """

    def ResizeMask(
        self,
        _name: str | None = None,
        /,
        *,
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        image: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        width: int | Link[int] = 512,
        height: int | Link[int] = 512,
        method: Literal['bilinear', 'bicubic', 'lanczos', 'area', 'nearest'] | Link[str] = 'bilinear',
    ) -> _ResizeMask:
        """Scale a mask to the size of an image, or to a given size.

        mask: A mask of any size.
        image: The mask gets the size of this image. If not linked, width and height apply.
        width: Size in pixels, if no image is linked.
        height: Size in pixels, if no image is linked.
        method: Interpolation. Nearest keeps hard edges hard.
        """

    def Resolution(
        self,
        _name: str | None = None,
        /,
        *,
        family: _family___ | Link[str] = 'sdxl',
        aspect: _aspect | Link[str] = '1:1',
        portrait: bool | Link[bool] = False,
        megapixels: float | Link[float] = 0.0,
        multiple: int | Link[int] = 0,
        like: Link[Image] | _Picture | Sequence[_Picture] | None = None,
    ) -> _Resolution:
        """Choose a width and height that suit a model family and aspect ratio.

        For SDXL, Flux.1 Kontext and Qwen-Image these are the sizes of their training. For other
        families the pixel count is that of the family. To resize an image to such a size, link it to
        `like` and to a ResizeImage node with crop, and link width and height to that node.

        family: Family of the model. tiny is the model included in nodegraph.
        aspect: Aspect ratio, width to height.
        portrait: Swap the aspect ratio, so that the height is the longer side.
        megapixels: Size in millions of pixels. 0 uses the training size of the family.
        multiple: Both sides are multiples of this value. 0 uses the multiple that the family needs.
        like: An image whose aspect ratio is used instead.
        """

    def ReviseConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        image_encoder: Link[ImageEncoder] | _values.ImageEncoder | Sequence[_values.ImageEncoder],
        image: Link[Image] | _Picture | Sequence[_Picture],
        strength: float | Link[float] = 1.0,
        noise: float | Link[float] = 0.0,
        seed: int | Link[int] = 0,
        adds: bool | Link[bool] = False,
    ) -> _ReviseConditioning:
        """Use images as a prompt for Stable Diffusion XL (Revision) or stage C of Stable Cascade.

        Stable Diffusion XL: they replace the pooled embedding, and the token embeddings of the prompt
        still apply. Use an empty prompt to be guided only by the images. Stable Cascade reads the
        images beside the whole prompt.

        conditioning: The positive prompt.
        image_encoder: CLIP ViT-bigG for Stable Diffusion XL, which matches the second text encoder. CLIP ViT-L/14 with its projection for Stable Cascade: the image_encoder folder of its prior.
        image: One or several images. Each image of a batch counts.
        strength: Strength of each image.
        noise: Noise that is added to the image embedding. The result follows the images more loosely. Stable Cascade takes none.
        seed: Seed of this noise.
        adds: Add the image embedding to that of the prompt, or to that of a previous node of this type, instead of replacing it.
        """

    def RotateImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        angle: float | Link[float] = 90.0,
        expand: bool | Link[bool] = True,
        color: str | Link[str] = 'black',
        method: Literal['bicubic', 'bilinear', 'nearest'] | Link[str] = 'bicubic',
    ) -> _RotateImage:
        """Rotate images around their center.

        image: Images of any size.
        angle: Angle in degrees, clockwise. Multiples of 90 move pixels without changing their values.
        expand: Enlarge the result to fit the whole rotated image. Otherwise the size does not change.
        color: Color of the corners. A transparent color like #00000000 gives images with alpha.
        method: Interpolation. Nearest keeps pixel values unchanged.
        """

    def RotateLatent(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        angle: Literal['90', '180', '270'] | Link[str] = '90',
    ) -> _RotateLatent:
        """Rotate a latent clockwise by multiples of 90 degrees.

        latent: Any latent. An empty one works, too. Its noise mask is rotated, too.
        angle: Angle in degrees.
        """

    def Round(
        self,
        _name: str | None = None,
        /,
        *,
        number: float | Link[float],
    ) -> _Round:
        """Round a number to the nearest whole number. Halves round to the even number.

        number: The number to round.
        """

    def SDTurboSchedule(
        self,
        _name: str | None = None,
        /,
        *,
        steps: int | Link[int] = 1,
        denoise: float | Link[float] = 1.0,
    ) -> _SDTurboSchedule:
        """Noise schedule of SD Turbo and SDXL Turbo: the first of the ten timesteps they were distilled
        on.

        steps: How many of the ten timesteps to use.
        denoise: Below 1, only this share of the ten timesteps is available, and part of the image is kept.
        """

    def SampleCustom(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel] | None = None,
        noise: Link[Noise],
        guider: Link[Guider],
        sampler: Link[Sampler],
        schedule: Link[Schedule],
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        convention: Literal['diffusers', 'comfyui'] | Link[str] = 'diffusers',
    ) -> _SampleCustom:
        """Generate a latent from separate parts: noise, guider, sampler and schedule.

        Use it for guiders, samplers or schedules that KSampler does not offer. RandomNoise, CFGGuider,
        SelectSampler and BasicSchedule with the settings of KSampler give a bit-identical result.

        model: The diffusion model that removes the noise. Only a guider of a ComfyUI pack brings its own.
        noise: The initial noise.
        guider: The prompts and the guidance method.
        sampler: The sampling method and its options.
        schedule: The noise levels to sample. Part of a schedule leaves its noise in the latent, or continues from leftover noise if no noise is added.
        latent: An empty latent to generate from noise alone, or the latent of an image to start from.
        convention: As for KSampler.
        """

    def SampleDecoder(
        self,
        _name: str | None = None,
        /,
        *,
        model: Literal['gan', 'vae'] | Link[str] = 'gan',
        count: int | Link[int] = 16,
        seed: int | Link[int] = 0,
        spread: float | Link[float] = 1.0,
    ) -> _SampleDecoder:
        """Generate latents in one step with an included small GAN or VAE: 128 pixels, no prompt.

        Both were trained on the latents of the images that the model tiny was trained on: sixteen
        objects, each large on a plain background. Decode them with the VAE of tiny.

        model: A generator trained against a discriminator (GAN), or a decoder trained with an encoder (VAE).
        count: Number of latents.
        seed: Seed of the first latent. The next latents count up from it.
        spread: Truncation: values below 1 give more typical images with less variety, values above 1 more unusual ones.
        """

    def SampleDiffusionForcing(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        seed: int | Link[int] = 0,
        steps: int | Link[int] = 30,
        cfg: float | Link[float] = 6.0,
        sampler: _reference_sampler | Link[str] = 'uni_pc',
        schedule: _schedule | Link[str] = 'normal',
        ar_step: int | Link[int] = 0,
        causal_block_size: int | Link[int] = 1,
        base_num_frames: int | Link[int] = 97,
        overlap_history: int | Link[int] = 17,
        addnoise_condition: float | Link[float] = 20.0,
    ) -> _SampleDiffusionForcing:
        """Generate a video whose frames have noise levels of their own, also a long one.

        For SkyReels V2 with diffusion forcing. A video longer than a window is generated in several,
        each of which continues the last frames of the one before. Blocks of frames may be denoised one
        after the other. KSampler also samples these models, with all frames at once.

        To start from an image, or to continue a video, link an ImageToVideoConditioning. Its image
        may be the last frames of a video. A last image is shown to the last window.

        model: A model that was trained by diffusion forcing.
        positive: The prompt: what the video should show. It may have first frames and a last one.
        negative: The negative prompt: what the video should not show. If not linked, the empty prompt is used.
        latent: An empty latent of the whole video, with the frames to continue.
        seed: Seed of the noise of the first item. Each following item uses the next seed.
        steps: Number of steps of each block of frames.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        sampler: The sampling method, with one evaluation of the model per step.
        schedule: The noise schedule.
        ar_step: Steps by which each block lags behind the one before it. 0 denoises all at once. 5 is usual with blocks of 5 latent frames, and takes more evaluations.
        causal_block_size: Latent frames of a block. Above 1, frames attend to their own block and to earlier ones only. A video has whole blocks: 97 frames are 25 latent frames.
        base_num_frames: Frames of a window: 97 for 960 x 544 pixels, 121 for 1280 x 720.
        overlap_history: Frames that a window continues from: 17 or 37 work well.
        addnoise_condition: Timestep of 1000 at which known frames are shown to the model, with as much noise. 20 makes transitions smoother. 0 shows them without noise.
        """

    def SaveAnimation(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        rate: float | Link[float] = 8.0,
        name: str | Link[str] = 'animation',
        format: Literal['webp', 'gif', 'png'] | Link[str] = 'webp',
        quality: int | Link[int] = 85,
        loop: bool | Link[bool] = True,
    ) -> _SaveAnimation:
        """Save a batch as an animated image, with the workflow that made it.

        image: The frames, in order.
        rate: Frames per second.
        name: Start of the file name, see SaveImage.
        format: GIF has 256 colors. PNG (APNG) is lossless.
        quality: Quality of WebP. 100 is lossless.
        loop: Repeat the animation forever.
        """

    def SaveAudio(
        self,
        _name: str | None = None,
        /,
        *,
        audio: Link[Audio] | _values.Audio | Sequence[_values.Audio],
        name: str | Link[str] = 'audio',
        format: Literal['flac', 'wav', 'ogg'] | Link[str] = 'flac',
        quality: int | Link[int] = 75,
        picture: bool | Link[bool] = True,
    ) -> _SaveAudio:
        """Write audio to the output folder, with the workflow that made it.

        Files are numbered: song_00001.flac. A file with the same content is not written again.

        audio: Audio with up to eight channels.
        name: Start of the file name. songs/song makes a subfolder. Placeholders like %date% are filled in as in SaveImage.
        format: FLAC is lossless at 24 bits. WAV keeps every bit and is larger. OGG (Opus) is small.
        quality: Quality of OGG.
        picture: Also write an image of the waveform.
        """

    def SaveDataset(
        self,
        _name: str | None = None,
        /,
        *,
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        name: str | Link[str] = 'dataset',
        format: Literal['image folder', 'coco', 'webdataset'] | Link[str] = 'image folder',
        resized: bool | Link[bool] = False,
        segments: Literal['rle', 'polygons'] | Link[str] = 'rle',
        per_shard: int | Link[int] = 1000,
        picture: bool | Link[bool] = True,
    ) -> _SaveDataset:
        """Export a dataset to a folder in the outputs, in a format that other tools read.

        Folders are numbered: dataset_00001. A folder with the same content is not written again.

        dataset: The dataset. Files are copied unchanged. Generated images are saved as PNG.
        name: Start of the folder name. sets/fruit makes a subfolder.
        format: A folder per class with metadata.jsonl (Hugging Face, torchvision), COCO annotations with boxes and masks, or WebDataset tar files.
        resized: Save images at the training size.
        segments: How COCO masks are written.
        per_shard: Examples per tar file.
        picture: Also save a contact sheet of the first examples next to the folder.
        """

    def SaveImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        name: str | Link[str] = 'image',
        format: Literal['png', 'jpeg', 'webp', 'avif', 'tiff'] | Link[str] = 'png',
        quality: int | Link[int] = 95,
        bits: Literal['8', '16'] | Link[str] = '8',
        rounding: Literal['nearest', 'down'] | Link[str] = 'nearest',
        infotext: Literal['auto', 'on', 'off'] | Link[str] = 'auto',
    ) -> _SaveImage:
        """Save images to the output folder, each with the workflow that made it.

        Files are numbered: apple_00001.png. A file with the same content is not written again.

        image: The images. Each image of a batch is saved to a separate file.
        name: Start of the file name. fruit/apple makes a subfolder. Placeholders: %date%, %time%, %width%, %height%, %index%, and %sample.seed% for an input of a node.
        format: PNG is lossless, and stores workflows of any length.
        quality: Quality of JPEG, WebP and AVIF.
        bits: Bits per channel. 16 needs PNG.
        rounding: How values are rounded to 8 bits: to the nearest level, or down, as in ComfyUI.
        infotext: Also write prompt, seed, sampler and model as text in the form of A1111, which other programs and sites show. auto follows the setting infotext, which is off.
        """

    def SaveLatent(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        name: str | Link[str] = 'latent',
    ) -> _SaveLatent:
        """Save a latent to the output folder, with the workflow that made it.

        Files are numbered: apple_00001.safetensors. A file with the same content is not written again.

        latent: The whole batch is saved, with its noise mask, seeds and leftover noise.
        name: Prefix of the file names. fruit/apple makes a sub-folder. Placeholders like %date% are filled in as in SaveImage.
        """

    def SaveLayers(
        self,
        _name: str | None = None,
        /,
        *,
        layers: Link[Layers],
        name: str | Link[str] = 'layers',
        format: Literal['ora', 'psd'] | Link[str] = 'ora',
        bits: Literal['8', '16'] | Link[str] = '8',
        picture: bool | Link[bool] = True,
        preview: bool | Link[bool] = False,
    ) -> _SaveLayers:
        """Save layers to the output folder, for Krita, GIMP, Photoshop and others.

        Layers that are scaled or rotated are saved as they look on the canvas. Files are numbered:
        layers_00001.ora. A file with the same content is not written again.

        layers: The layers.
        name: Start of the file name. fruit/apple makes a subfolder. Placeholders: see SaveImage.
        format: OpenRaster (ORA) is read by Krita, GIMP and MyPaint, and keeps positions on the canvas. PSD is read by Photoshop and most other programs; its corner is that of all layers together.
        bits: Bits per channel. 16 needs ORA.
        picture: Also save the flattened image as PNG.
        preview: Show the layers without saving them to the output folder.
        """

    def SaveMask(
        self,
        _name: str | None = None,
        /,
        *,
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        name: str | Link[str] = 'mask',
    ) -> _SaveMask:
        """Save masks to the output folder as gray PNG files, which LoadMask can load.

        mask: Each mask of the batch is saved to a file.
        name: Prefix of the file names. fruit/apple makes a sub-folder.
        """

    def SaveMesh(
        self,
        _name: str | None = None,
        /,
        *,
        mesh: Link[Mesh] | _spatial_values.Mesh | Sequence[_spatial_values.Mesh],
        name: str | Link[str] = 'mesh',
        format: Literal['glb', 'ply', 'obj'] | Link[str] = 'glb',
        picture: bool | Link[bool] = True,
    ) -> _SaveMesh:
        """Save a mesh to the output folder, with the workflow that made it.

        Files are numbered: chair_00001.glb. A file with the same content is not written again.

        mesh: The mesh, with its colors or texture.
        name: Prefix of the file names. chairs/chair makes a sub-folder.
        format: Only GLB stores a texture. In PLY and OBJ, the vertices get its colors.
        picture: Also save an animation that shows the mesh from all sides.
        """

    def SaveModel(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder] | None = None,
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae] | None = None,
        name: str | Link[str] = 'model',
        layout: Literal['single file', 'folder'] | Link[str] = 'single file',
        dtype: Literal['auto', 'float16', 'bfloat16', 'float32'] | Link[str] = 'auto',
        title: str | Link[str] = '',
        author: str | Link[str] = '',
        description: str | Link[str] = '',
        license: str | Link[str] = '',
    ) -> _SaveModel:
        """Save a model as a checkpoint or as a diffusers folder. LoRAs are merged into it.

        The name ends with part of a digest of the content. Existing files with the same content are not
        written again.

        model: The diffusion model.
        text_encoder: Its text encoder. A single file may be without it.
        vae: Its VAE. A single file may be without it.
        name: Beginning of the file name. style/ink makes a sub-folder.
        layout: single file is a .safetensors file that A1111, ComfyUI and nodegraph read, for Stable Diffusion 1.x, 2.x and XL. folder is the layout of diffusers, for all families that diffusers has.
        dtype: Precision of the weights. auto is the precision of the model's files.
        title: Title of the model, in the file's metadata (modelspec).
        author: Author of the model, in the metadata.
        description: Description of the model, in the metadata.
        license: License of the model, in the metadata.
        """

    def SaveMolecule(
        self,
        _name: str | None = None,
        /,
        *,
        molecule: Link[Molecule] | _spatial_values.Molecule | Sequence[_spatial_values.Molecule],
        name: str | Link[str] = 'molecule',
        format: Literal['sdf', 'pdb', 'smi'] | Link[str] = 'sdf',
        picture: bool | Link[bool] = True,
    ) -> _SaveMolecule:
        """Save a molecule to the output folder, with the workflow that made it.

        Files are numbered: aspirin_00001.sdf. A file with the same content is not written again.

        molecule: The molecule, with atom positions if they are known.
        name: Prefix of the file names. drugs/aspirin makes a sub-folder.
        format: SDF stores bonds and the first conformer. PDB stores residues and all conformers. SMILES cannot store a workflow.
        picture: Also save a drawing of the molecule.
        """

    def SavePlot(
        self,
        _name: str | None = None,
        /,
        *,
        plot: Link[Plot] | _plots.Plot | Sequence[_plots.Plot],
        name: str | Link[str] = 'plot',
        format: Literal['json', 'csv', 'svg'] | Link[str] = 'json',
        width: int | Link[int] = 640,
        height: int | Link[int] = 400,
        picture: bool | Link[bool] = True,
    ) -> _SavePlot:
        """Save a plot to the output folder, with an image of it.

        plot: The plot.
        name: Prefix of the file names. runs/loss makes a sub-folder.
        format: JSON is shown by editors and loaded by LoadPlot, and includes the workflow (long series are thinned). CSV has every number. SVG is a drawing that scales to any size.
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        picture: Also save the plot as PNG.
        """

    def SavePointCloud(
        self,
        _name: str | None = None,
        /,
        *,
        point_cloud: Link[PointCloud] | _spatial_values.PointCloud | Sequence[_spatial_values.PointCloud],
        name: str | Link[str] = 'points',
        picture: bool | Link[bool] = True,
    ) -> _SavePointCloud:
        """Save a point cloud to the output folder as PLY, with the workflow that made it.

        Files are numbered: scan_00001.ply. A file with the same content is not written again.

        point_cloud: The point cloud, with its colors.
        name: Prefix of the file names. scans/scan makes a sub-folder.
        picture: Also save an animation that shows the points from all sides.
        """

    def SaveText(
        self,
        _name: str | None = None,
        /,
        *,
        text: str | Link[str],
        name: str | Link[str] = 'text',
        format: Literal['txt', 'md', 'csv', 'json'] | Link[str] = 'txt',
    ) -> _SaveText:
        """Save a text to the output folder.

        Files are numbered: text_00001.txt. A file with the same content is not written again.

        text: The text. It is saved unchanged in UTF-8, for every format.
        name: Prefix of the file names. notes/fox makes a sub-folder. %date% and %time% are replaced by date and time, %sample.seed% by an input of a node.
        format: File name extension.
        """

    def SaveTextEncoder(
        self,
        _name: str | None = None,
        /,
        *,
        text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        name: str | Link[str] = 'text_encoder',
        dtype: Literal['auto', 'float16', 'bfloat16', 'float32'] | Link[str] = 'auto',
    ) -> _SaveTextEncoder:
        """Save a text encoder alone: a .safetensors file for each of its networks.

        LoRAs are merged into it. LoadTextEncoder and ComfyUI read the files. The names end with part of
        a digest of the content.

        text_encoder: The text encoder.
        name: Beginning of the file names. If there are several networks, the name of each follows.
        dtype: Precision of the weights. auto is the precision of the model's files.
        """

    def SaveVae(
        self,
        _name: str | None = None,
        /,
        *,
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        name: str | Link[str] = 'vae',
        dtype: Literal['auto', 'float16', 'bfloat16', 'float32'] | Link[str] = 'auto',
    ) -> _SaveVae:
        """Save a VAE alone as a .safetensors file, which LoadVae and ComfyUI read.

        The name ends with part of a digest of the content.

        vae: The VAE.
        name: Beginning of the file name.
        dtype: Precision of the weights. auto is the precision of the model's files.
        """

    def SaveVideo(
        self,
        _name: str | None = None,
        /,
        *,
        video: Link[Video] | _values.Video | Sequence[_values.Video],
        name: str | Link[str] = 'video',
        format: Literal['mp4', 'webm', 'mkv'] | Link[str] = 'mp4',
        quality: int | Link[int] = 75,
    ) -> _SaveVideo:
        """Save a video to the output folder, with the workflow that made it.

        Files are numbered: walk_00001.mp4. A file with the same content is not written again.

        video: The video, with its audio.
        name: Prefix of the file names. clips/walk makes a sub-folder. Placeholders like %date% are filled in as in SaveImage.
        format: MP4 (H.264) plays everywhere, WebM (VP9) in browsers. Both need even sides. MKV (FFV1) is lossless.
        quality: Quality of MP4 and WebM.
        """

    def SaveWeights(
        self,
        _name: str | None = None,
        /,
        *,
        weights: Link[TrainedWeights] | _training_values.TrainedWeights | Sequence[_training_values.TrainedWeights],
        name: str | Link[str] = 'lora',
        naming: Literal['auto', 'kohya', 'diffusers'] | Link[str] = 'auto',
        trigger_words: str | Link[str] = '',
        sample: Link[Image] | _Picture | Sequence[_Picture] | None = None,
    ) -> _SaveWeights:
        """Save trained weights as a file that diffusers, ComfyUI, A1111 and others read.

        A LoRA or a textual inversion becomes a numbered file: lora_00001.safetensors. Full models,
        ControlNets and classifiers become a folder with their configuration. The folder name ends with
        part of a digest of the content. Existing files with the same content are not written again.

        The metadata of a LoRA contains its trigger words and the tags of its captions, which other
        programs and sites show.

        weights: The result of a training.
        name: Prefix of the file names. style/ink makes a sub-folder.
        naming: Naming scheme of the tensors of a LoRA. ComfyUI, A1111, diffusers and nodegraph read kohya names. Only diffusers and nodegraph read diffusers names of a UNet. auto uses kohya names for UNets (Stable Diffusion 1.x, 2.x, XL), and diffusers names for transformers, which ComfyUI reads, too.
        trigger_words: Words that prompts should contain, for the metadata of a LoRA. If empty, the trained word, or the tags that all captions have in common.
        sample: Image of a LoRA. It is saved next to the file, and shown in lists of models.
        """

    def ScaleAttention(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        layers: Literal['self', 'cross'] | Link[str] = 'self',
        query: float | Link[float] = 1.0,
        key: float | Link[float] = 1.0,
        value: float | Link[float] = 1.0,
        output: float | Link[float] = 1.0,
    ) -> _ScaleAttention:
        """Scale the attention projections of a UNet.

        Larger queries or keys make attention more selective. The output factor sets how much attention
        adds to the features. LoRAs of these projections are scaled, too.

        model: Stable Diffusion 1, 2 or XL, or another UNet.
        layers: self for attention within the image, cross for attention to the prompt.
        query: Factors of the projections. 1 has no effect.
        key: Factors of the projections. 1 has no effect.
        value: Factors of the projections. 1 has no effect.
        output: Factors of the projections. 1 has no effect.
        """

    def ScaleEncoderAttention(
        self,
        _name: str | None = None,
        /,
        *,
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        query: float | Link[float] = 1.0,
        key: float | Link[float] = 1.0,
        value: float | Link[float] = 1.0,
        output: float | Link[float] = 1.0,
    ) -> _ScaleEncoderAttention:
        """Scale the attention projections of CLIP text encoders. Other text encoders stay.

        encoder: A text encoder with CLIP.
        query: Factors of the projections. 1 has no effect.
        key: Factors of the projections. 1 has no effect.
        value: Factors of the projections. 1 has no effect.
        output: Factors of the projections. 1 has no effect.
        """

    def ScaleImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        by: _by_ | Link[str] = 'factor',
        amount: float | Link[float] = 2.0,
        method: Literal['lanczos', 'bicubic', 'bilinear', 'area', 'nearest'] | Link[str] = 'lanczos',
        multiple_of: int | Link[int] = 1,
    ) -> _ScaleImage:
        """Scale images and keep their aspect ratio.

        image: Images of any size.
        by: Meaning of amount: a factor, a side in pixels, or the total number of pixels.
        amount: The factor, the pixels, or the megapixels. One megapixel is 1024 x 1024 pixels.
        method: Interpolation. Nearest keeps pixel values unchanged.
        multiple_of: Sides are rounded to multiples of this value.
        """

    def ScaleNoise(
        self,
        _name: str | None = None,
        /,
        *,
        noise: Link[Noise],
        strength: float | Link[float] = 1.0,
    ) -> _ScaleNoise:
        """Start from stronger or weaker noise than the model was trained on.

        Slightly weaker noise gives calmer, emptier images. Slightly stronger noise gives livelier ones.
        Some pixel-space models are trained on stronger noise and need it here.

        noise: Any noise.
        strength: Factor on the initial noise. Noise that is drawn during sampling does not change.
        """

    def ScaleSchedule(
        self,
        _name: str | None = None,
        /,
        *,
        schedule: Link[Schedule],
        factor: float | Link[float] = 1.0,
    ) -> _ScaleSchedule:
        """Multiply all noise levels by a factor.

        Below 1, the model assumes less noise than the latent contains.

        schedule: The schedule to scale.
        factor: The factor.
        """

    def Scan(
        self,
        _name: str | None = None,
        /,
        *,
        items: list[Any] | Link[Any] | Sequence[Any | Out[Any]],
        state: Any,
        body: str | BuiltSubgraph,
        **inputs: Any,
    ) -> _Scan:
        """Run a subgraph for each item of a list, pass its state on, and collect its results.

        The subgraph takes a `state`, an `item`, and optionally its number as `index`. It returns the
        next `state`, and a `result`. Its other inputs become inputs of this node. The outputs are the
        last state, and the result of each run.

        items: The list.
        state: The state of the first run.
        body: Name of the subgraph.
        """

    def ScheduleFromList(
        self,
        _name: str | None = None,
        /,
        *,
        sigmas: list[float] | Link[float] | Sequence[float | Out[float]],
    ) -> _ScheduleFromList:
        """Noise schedule from a list of numbers.

        sigmas: Noise levels, the noisiest first. For flow models they are at most 1.
        """

    def ScheduleLevels(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        schedule: Link[Schedule],
        sampler: Link[Sampler] | None = None,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent] | None = None,
        convention: Literal['diffusers', 'comfyui'] | Link[str] = 'diffusers',
    ) -> _ScheduleLevels:
        """Return the noise levels of a schedule as numbers, from the first to the last.

        model: The model whose noise levels are used.
        schedule: How the noise levels are spaced.
        sampler: The sampling method. Some methods place their steps differently. euler if not linked.
        latent: A latent of the size to sample, because flow models shift the levels by size. If not linked, the size of the model is used.
        convention: As for KSampler.
        """

    def Scribble(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        threshold: float | Link[float] = 0.12,
        thickness: int | Link[int] = 2,
    ) -> _Scribble:
        """Extract rough outlines like a hand-drawn scribble: thick white lines on black.

        image: Any image.
        threshold: How much a line must differ from its surroundings.
        thickness: Pixels by which lines are thickened on each side.
        """

    def SecondExpertCfg(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        cfg: float | Link[float] = 3.0,
    ) -> _SecondExpertCfg:
        """Set a separate guidance scale for the second expert of Wan 2.2.

        Without this node both experts use the sampler's cfg. If the sampler's cfg is 1 or below, no
        negative prompt is evaluated, and this node changes nothing.

        conditioning: The positive prompt.
        cfg: Guidance scale of the last, low-noise part of the sampling.
        """

    def Seed(
        self,
        _name: str | None = None,
        /,
        *,
        seed: int | Link[int] = 0,
        offset: int | Link[int] = 0,
    ) -> _Seed:
        """A seed for several nodes.

        seed: The seed.
        offset: Number that is added to the seed, to get different seeds.
        """

    def SeedFromText(
        self,
        _name: str | None = None,
        /,
        *,
        text: str | Link[str],
        number: int | Link[int] = 0,
    ) -> _SeedFromText:
        """Make a seed from text. The same text always gives the same seed.

        text: Any text, for example a name.
        number: Each number gives a different seed.
        """

    def SeedRange(
        self,
        _name: str | None = None,
        /,
        *,
        start: int | Link[int] = 0,
        count: int | Link[int] = 4,
    ) -> _SeedRange:
        """Return consecutive seeds. A node whose seed input is linked to them runs once for each.

        After the largest seed, 2**64 - 1, the next one is 0.

        start: The first seed.
        count: Number of seeds.
        """

    def SegmentAnything(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[VisionModel],
        image: Link[Image] | _Picture | Sequence[_Picture],
        points: str | Link[str] = '0.5, 0.5',
        excluded: str | Link[str] = '',
        boxes: str | Link[str] = '',
        unit: Literal['shares', 'pixels'] | Link[str] = 'shares',
    ) -> _SegmentAnything:
        """Mask the object at given points, or the objects in boxes, with SAM or SAM 2.

        model: SAM, SAM-HQ or SAM 2, from LoadVisionModel.
        image: Any image. Points and boxes apply to all images of a batch.
        points: x and y of points on the object, for example 0.5, 0.5 or [[0.2, 0.3], [0.8, 0.3]].
        excluded: Points outside the object.
        boxes: x, y, width and height of a box around the object. Several boxes without points mask one object each.
        unit: Unit of the coordinates: shares of the image's sides, 0 to 1, or pixels.
        """

    def SegmentByText(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[VisionModel],
        image: Link[Image] | _Picture | Sequence[_Picture],
        text: str | Link[str],
        threshold: float | Link[float] = 0.4,
    ) -> _SegmentByText:
        """Mask what a text describes, with SAM 3 or CLIPSeg.

        model: SAM 3 or CLIPSeg, from LoadVisionModel. SAM 3 finds objects and follows their edges.
        image: Any image.
        text: What to mask, for example a hat.
        threshold: Minimum confidence. 0 returns a soft mask of the confidence.
        """

    def SegmentClass(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[VisionModel],
        image: Link[Image] | _Picture | Sequence[_Picture],
        labels: str | Link[str],
    ) -> _SegmentClass:
        """Mask objects of classes that a model knows, for example sky, with SegFormer and others.

        model: A segmentation model with classes, from LoadVisionModel.
        image: Any image.
        labels: Class names, separated by commas.
        """

    def SegmentRegions(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[VisionModel],
        image: Link[Image] | _Picture | Sequence[_Picture],
        regions: Link[Region] | Sequence[Out[Region]],
        hint: _hint | Link[str] = 'center',
        threshold: float | Link[float] = 0.93,
        expand: int | Link[int] = 0,
        grow: int | Link[int] = 0,
        mask_threshold: float | Link[float] = 0.7,
    ) -> _SegmentRegions:
        """Mask the objects in regions with SAM.

        MaskRegions limits the regions to these masks.

        model: SAM, SAM-HQ or SAM 2, from LoadVisionModel.
        image: One image.
        regions: Regions of the image.
        hint: Points on the object, besides its box: in the middle, two or four of them, or all over the mask of the region.
        threshold: Confidence from which on masks of the model count. If none has it, the surest one counts.
        expand: Pixels by which the boxes are enlarged on each side.
        grow: Side in pixels of a square by which the masks grow. Negative values shrink them.
        mask_threshold: With the hint mask: minimum value of the mask at a point.
        """

    def Select(
        self,
        _name: str | None = None,
        /,
        *,
        index: int | Link[int] = 0,
        option_0: Any = None,
        option_1: Any = None,
        option_2: Any = None,
        option_3: Any = None,
        option_4: Any = None,
        option_5: Any = None,
        option_6: Any = None,
        option_7: Any = None,
    ) -> _Select:
        """Choose one of several values by its number. Nodes that only the other values need do not run.

        index: Number of the value, counted from 0.
        option_0: The values to choose from. If the chosen one is not linked, nodes that depend on this node are skipped.
        option_1: The values to choose from. If the chosen one is not linked, nodes that depend on this node are skipped.
        option_2: The values to choose from. If the chosen one is not linked, nodes that depend on this node are skipped.
        option_3: The values to choose from. If the chosen one is not linked, nodes that depend on this node are skipped.
        option_4: The values to choose from. If the chosen one is not linked, nodes that depend on this node are skipped.
        option_5: The values to choose from. If the chosen one is not linked, nodes that depend on this node are skipped.
        option_6: The values to choose from. If the chosen one is not linked, nodes that depend on this node are skipped.
        option_7: The values to choose from. If the chosen one is not linked, nodes that depend on this node are skipped.
        """

    def SelectByBox(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        box: str | Link[str] = '0.1, 0.1, 0.8, 0.8',
        unit: Literal['shares', 'pixels'] | Link[str] = 'shares',
    ) -> _SelectByBox:
        """Mask the object in a box: what differs from the surroundings of the box. No model is needed.

        image: Any image. The box applies to all images of a batch.
        box: x, y, width and height of a box around the object, for example 0.1, 0.1, 0.8, 0.8.
        unit: Unit of the coordinates: shares of the image's sides, 0 to 1, or pixels.
        """

    def SelectByPoints(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        points: str | Link[str] = '0.5, 0.5',
        excluded: str | Link[str] = '',
        unit: Literal['shares', 'pixels'] | Link[str] = 'shares',
        radius: int | Link[int] = 3,
    ) -> _SelectByPoints:
        """Mask the object at a point, up to its edges. No model is needed.

        image: Any image. The points apply to all images of a batch.
        points: x and y of points on the object, for example 0.5, 0.5 or [[0.2, 0.3], [0.8, 0.3]].
        excluded: Points outside the object. If empty, the border of the image is excluded.
        unit: Unit of the coordinates: shares of the image's sides, 0 to 1, or pixels.
        radius: Radius in pixels around each point that surely belongs to the object.
        """

    def SelectGuider(
        self,
        _name: str | None = None,
        /,
        *,
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        guider: Literal['cfg'] | Link[str] = 'cfg',
        cfg: float | Link[float] = 7.0,
    ) -> _SelectGuider:
        """Choose a guider by its name, for example one from a pack.

        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        guider: How both predictions are combined. cfg is classifier-free guidance as in CFGGuider. Packs and installed packages add others.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        """

    def SelectPreprocessor(
        self,
        _name: str | None = None,
        /,
        *,
        kind: _kind | Link[str] = 'canny edges',
    ) -> _SelectPreprocessor:
        """Select a ControlNet preprocessor for Preprocess.

        kind: The node of that name, or BlurImage and PosterizeImage, with default settings. Packs add other preprocessors as nodes.
        """

    def SelectSampler(
        self,
        _name: str | None = None,
        /,
        *,
        sampler: _reference_sampler | Link[str] = 'dpmpp_2m',
        eta: float | Link[float] | None = None,
        s_noise: float | Link[float] | None = None,
        s_churn: float | Link[float] | None = None,
        s_tmin: float | Link[float] | None = None,
        s_tmax: float | Link[float] | None = None,
        order: int | Link[int] | None = None,
        gamma: float | Link[float] | None = None,
        repeats: int | Link[int] | None = None,
        s_noise_end: float | Link[float] | None = None,
        noise_clip: float | Link[float] | None = None,
    ) -> _SelectSampler:
        """Choose a sampler and its options for SampleCustom.

        An option that is left out keeps the default of the sampler.

        sampler: The sampling method. Methods of packs and installed packages are included.
        eta: Share of the noise that is drawn anew in each step. 0 draws none.
        s_noise: Factor on all noise that is drawn during sampling.
        s_churn: Noise that is added before steps, in total over the sampling.
        s_tmin: Range of noise levels in which noise is added or steps are repeated.
        s_tmax: Range of noise levels in which noise is added or steps are repeated.
        order: Order of the method: how many predictions each step uses.
        gamma: Weight of the extrapolation from the previous slope.
        repeats: How often the steps between s_tmax and s_tmin are repeated.
        s_noise_end: Value that s_noise reaches in the last step.
        noise_clip: Limit of the noise, in standard deviations. 0 does not clip.
        """

    def SelectSuperpixels(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        points: str | Link[str] = '0.5, 0.5',
        unit: Literal['shares', 'pixels'] | Link[str] = 'shares',
        parts: int | Link[int] = 50,
        method: Literal['slic', 'felzenszwalb', 'watershed'] | Link[str] = 'slic',
    ) -> _SelectSuperpixels:
        """Mask the superpixels that contain the given points.

        image: Any image. The points apply to all images of a batch.
        points: x and y of one or several points, for example 0.5, 0.5 or [[0.2, 0.3], [0.8, 0.3]].
        unit: Unit of the coordinates: shares of the image's sides, 0 to 1, or pixels.
        parts: As for Superpixels, which shows the segments.
        method: As for Superpixels, which shows the segments.
        """

    def SelfAttentionGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        scale: float | Link[float] = 0.75,
        blur: float | Link[float] = 1.0,
        start: float | Link[float] = 0.0,
        end: float | Link[float] = 1.0,
    ) -> _SelfAttentionGuidance:
        """Self-attention guidance (SAG): clearer details.

        It guides away from a UNet's prediction for an image that is blurred where its attention is
        high.

        guider: The guider to extend.
        scale: Scale of this guidance.
        blur: Standard deviation of the blur in latent cells.
        start: Part of the sampling in which it applies, 0 to 1.
        end: Part of the sampling in which it applies, 0 to 1.
        """

    def SetAlpha(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        masked: Literal['opaque', 'transparent'] | Link[str] = 'opaque',
    ) -> _SetAlpha:
        """Make part of an image transparent with a mask. PNG and WebP files keep the transparency.

        image: Any image. Its alpha channel is replaced.
        mask: Any mask. It is scaled to the size of the image.
        masked: Whether the masked area stays opaque or becomes transparent.
        """

    def SetCaptions(
        self,
        _name: str | None = None,
        /,
        *,
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        captions: list[str] | Link[str] | Sequence[str | Out[str]] | None = None,
        labels: list[str] | Link[str] | Sequence[str | Out[str]] | None = None,
    ) -> _SetCaptions:
        """Set a dataset's captions or labels from lists, for example from a language model.

        dataset: The dataset. Its other texts do not change.
        captions: One caption per example, in order, or one for all.
        labels: One class label per example, in order, or one for all.
        """

    def SetFirstLevel(
        self,
        _name: str | None = None,
        /,
        *,
        schedule: Link[Schedule],
        sigma: float | Link[float] = 136.0,
    ) -> _SetFirstLevel:
        """Start a schedule at another noise level. It may be above the model's training range.

        schedule: The schedule to change. Its other levels stay.
        sigma: The first level, above the next one. Above its training range, the model is evaluated at its noisiest timestep.
        """

    def SetFlowShift(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        shift: float | Link[float] = 3.0,
    ) -> _SetFlowShift:
        """Set the shift of a flow matching model: more steps for the layout, or for details.

        Use it for Stable Diffusion 3, Wan, Z-Image, Qwen-Image and other flow matching models. The
        weights are shared with the unchanged model.

        model: The model to change. The shift is the same for all image sizes.
        shift: 1 is no shift. Larger values spend more steps at high noise.
        """

    def SetFlowShiftBySize(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        width: int | Link[int] = 1024,
        height: int | Link[int] = 1024,
        base_shift: float | Link[float] = 0.5,
        max_shift: float | Link[float] = 1.15,
    ) -> _SetFlowShiftBySize:
        """Set the shift of a flow matching model by image size. Larger images get a larger shift.

        model: The model to change.
        width: Size of the image, in pixels.
        height: Size of the image, in pixels.
        base_shift: Logarithm of the shift for images of 256 x 256.
        max_shift: Logarithm of the shift for images of 1024 x 1024. Other sizes are on a line over the number of pixels.
        """

    def SetItemSeeds(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        seeds: list[int] | Link[int] | Sequence[int | Out[int]],
    ) -> _SetItemSeeds:
        """Set the seed of each item of a batch, for example to regenerate the best of many images.

        Each item gives the same result as when it is sampled alone with that seed.

        latent: A batch. A single item is repeated once for each seed.
        seeds: One seed per item. The seed of the sampler is added to them, so leave it at 0.
        """

    def SetNoiseMask(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        mask: Link[Mask] | _Picture | Sequence[_Picture],
    ) -> _SetNoiseMask:
        """Set the part of a latent that sampling changes (inpainting).

        latent: The latent of an image, or a latent of sound for CombineSoundLatent.
        mask: 1 is generated anew, 0 is kept. The mask is scaled to the size of the latent. For sound, its rows from top to bottom are the time.
        """

    def SetPrediction(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        prediction_type: Literal['auto', 'epsilon', 'v_prediction', 'sample'] | Link[str] = 'auto',
        zero_terminal_snr: Literal['auto', 'on', 'off'] | Link[str] = 'auto',
    ) -> _SetPrediction:
        """Set what a model predicts, if its file does not say or is wrong.

        model: A model with a discrete noise schedule, for example Stable Diffusion.
        prediction_type: The noise (epsilon), v, or the clean sample. auto uses the value in the file.
        zero_terminal_snr: Whether the model was trained with zero terminal SNR. Sampling then starts from pure noise. auto uses the value in the file.
        """

    def SetSoundShift(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        shift: float | Link[float] = 3.0,
    ) -> _SetSoundShift:
        """Set the shift of the sound's noise levels for a MiniMax H3 model.

        Videos and sound have noise levels of their own. Set those of the video with SetFlowShift. The
        weights are shared with the unchanged model.

        model: A MiniMax H3 model.
        shift: 1 is no shift. Larger values spend more steps at high noise.
        """

    def SetVideoAudio(
        self,
        _name: str | None = None,
        /,
        *,
        video: Link[Video] | _values.Video | Sequence[_values.Video],
        audio: Link[Audio] | _values.Audio | Sequence[_values.Audio] | None = None,
    ) -> _SetVideoAudio:
        """Replace or remove the audio of a video.

        video: The video. Its frames do not change.
        audio: Audio that starts with the first frame. If left out, the video is silent.
        """

    def ShadowsHighlights(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        shadows: float | Link[float] = 0.0,
        highlights: float | Link[float] = 0.0,
    ) -> _ShadowsHighlights:
        """Brighten or darken shadows and highlights separately.

        image: Images of any size.
        shadows: Positive values brighten dark areas, negative values darken them.
        highlights: Positive values brighten bright areas, negative values darken them.
        """

    def ShapeConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        solid: _solid | Link[str] | None = None,
        color: _color | Link[str] | None = None,
        proportion: float | Link[float] | None = None,
    ) -> _ShapeConditioning:
        """Conditioning for a shape model: what the shapes should look like.

        Inputs that are left out are not conditioned.

        solid: Kind of the shapes.
        color: Color of the whole shape.
        proportion: Ratio of height to width: 2 is twice as tall as wide.
        """

    def ShapeMask(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        width: int | Link[int] = 512,
        height: int | Link[int] = 512,
        shape: Literal['rectangle', 'ellipse', 'diamond'] | Link[str] = 'rectangle',
        x: float | Link[float] = 0.25,
        y: float | Link[float] = 0.25,
        shape_width: float | Link[float] = 0.5,
        shape_height: float | Link[float] = 0.5,
        unit: Literal['shares', 'pixels'] | Link[str] = 'shares',
        angle: float | Link[float] = 0.0,
    ) -> _ShapeMask:
        """Make a mask of a rectangle, an ellipse or a diamond.

        image: The mask gets the size of this image. If not linked, width and height apply.
        width: Size in pixels, if no image is linked.
        height: Size in pixels, if no image is linked.
        shape: The shape. It fills its box, and its edge is antialiased.
        x: Left and upper edge of the box.
        y: Left and upper edge of the box.
        shape_width: Width and height of the box.
        shape_height: Width and height of the box.
        unit: Unit of x, y, shape_width and shape_height: shares of the image's sides, 0 to 1, or pixels.
        angle: Clockwise rotation about the center, in degrees.
        """

    def SharpenGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        radius: int | Link[int] = 9,
        sigma: float | Link[float] = 1.0,
        amount: float | Link[float] = 0.1,
    ) -> _SharpenGuidance:
        """Sharpen what separates the positive from the negative prediction, for more details.

        guider: The guider to change.
        radius: Cells that the blur covers to each side. It must be below the sides of the latent.
        sigma: Standard deviation of the blur, as a share of the radius.
        amount: Strength of the sharpening. See SharpenLatent.
        """

    def SharpenImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        amount: float | Link[float] = 0.8,
        radius: float | Link[float] = 1.0,
        threshold: float | Link[float] = 0.0,
    ) -> _SharpenImage:
        """Sharpen images with an unsharp mask.

        image: Images of any size.
        amount: Strength. 0 has no effect.
        radius: Size of the sharpened details in pixels.
        threshold: Differences below this value are not sharpened, so that noise is not amplified.
        """

    def SharpenLatent(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        radius: int | Link[int] = 9,
        sigma: float | Link[float] = 1.0,
        amount: float | Link[float] = 0.1,
    ) -> _SharpenLatent:
        """Sharpen a latent: the strengths of its cells, by an unsharp mask.

        latent: A latent with content. An empty one stays empty.
        radius: Cells that the blur covers to each side. It must be below the sides of the latent.
        sigma: Standard deviation of the blur, as a share of the radius.
        amount: Strength of the sharpening.
        """

    def ShiftImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        x: int | Link[int] = 0,
        y: int | Link[int] = 0,
    ) -> _ShiftImage:
        """Shift images with wrap-around: pixels that leave on one side enter on the opposite side.

        image: Images of any size.
        x: Pixels to the right and down.
        y: Pixels to the right and down.
        """

    def ShowValue(
        self,
        _name: str | None = None,
        /,
        *,
        value: Any,
    ) -> _ShowValue:
        """Show any value as text. Images and latents are shown as statistics.

        value: The value. A list is shown with one item per line.
        """

    def SizeConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        original_width: int | Link[int] = 0,
        original_height: int | Link[int] = 0,
        crop_left: int | Link[int] = 0,
        crop_top: int | Link[int] = 0,
        target_width: int | Link[int] = 0,
        target_height: int | Link[int] = 0,
        score: float | Link[float] | None = None,
    ) -> _SizeConditioning:
        """Set the size and crop conditioning of Stable Diffusion XL and CogView 4.

        The model was trained on scaled and cropped images, with these values as inputs. A small
        original size gives coarse images. A crop from the left or top cuts objects off.

        conditioning: The positive prompt. A negative prompt without this node gets the same values.
        original_width: Width in pixels before scaling. 0 uses the sampled size.
        original_height: Height in pixels before scaling. 0 uses the sampled size.
        crop_left: Pixels cropped at the left.
        crop_top: Pixels cropped at the top.
        target_width: Width in pixels after cropping. 0 uses the sampled size.
        target_height: Height in pixels after cropping. 0 uses the sampled size.
        score: Aesthetic score, 0 to 10. Only the refiner uses it, instead of the target size. If left out, 6, and 2.5 for a negative prompt.
        """

    def SkipLayerGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        scale: float | Link[float] = 2.8,
        layers: str | Link[str] = '',
        start: float | Link[float] = 0.01,
        end: float | Link[float] = 0.2,
        prompt: Literal['positive', 'negative'] | Link[str] = 'positive',
    ) -> _SkipLayerGuidance:
        """Skip-layer guidance (SLG): better anatomy.

        It guides away from the prediction of the model without some of its layers. It was made for
        Stable Diffusion 3.5 Medium, with layers `7, 8, 9`.

        guider: The guider to extend.
        scale: Scale of this guidance. With the negative prompt it has no effect; cfg is used instead.
        layers: Layers to skip: block numbers of a transformer (`7, 8, 9`, `single.3`), or parts of a UNet (`mid`, `down.1`, `up.0.2`). Empty uses the middle of the network.
        start: Part of the sampling in which it applies, 0 to 1.
        end: Part of the sampling in which it applies, 0 to 1.
        prompt: Prompt that is evaluated without these layers. The positive prompt needs one more evaluation per step. The negative prompt without the layers replaces the usual one, at no extra time.
        """

    def Slice(
        self,
        _name: str | None = None,
        /,
        *,
        items: list[Any] | Link[Any] | Sequence[Any | Out[Any]],
        start: int | Link[int] = 0,
        stop: int | Link[int] | None = None,
        step: int | Link[int] = 1,
    ) -> _Slice:
        """Return part of a list (slice).

        items: The list.
        start: Index of the first item, starting at 0. -2 is the last but one.
        stop: Index after the last item. If left out, all following items are included.
        step: Take every n-th item. Negative values go backwards from start.
        """

    def SmilesFromMolecule(
        self,
        _name: str | None = None,
        /,
        *,
        molecule: Link[Molecule] | _spatial_values.Molecule | Sequence[_spatial_values.Molecule],
    ) -> _SmilesFromMolecule:
        """Convert a molecule to canonical SMILES text.

        molecule: Any molecule. Atom positions are not included in the text.
        """

    def SmoothedEnergyGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        scale: float | Link[float] = 3.0,
        blur: float | Link[float] = 9999.0,
        layers: str | Link[str] = '',
        start: float | Link[float] = 0.0,
        end: float | Link[float] = 1.0,
    ) -> _SmoothedEnergyGuidance:
        """Smoothed energy guidance (SEG): guidance away from blurred attention. Gentler than PAG.

        It guides away from the prediction of a UNet whose self-attention is blurred in some layers.

        guider: The guider to extend.
        scale: Scale of this guidance.
        blur: Standard deviation of the blur in cells of the layer. 9999 replaces the attention by its mean.
        layers: Layers to change: block numbers of a transformer (`7, 8, 9`, `single.3`), or parts of a UNet (`mid`, `down.1`, `up.0.2`). Empty uses the middle of the network.
        start: Part of the sampling in which it applies, 0 to 1.
        end: Part of the sampling in which it applies, 0 to 1.
        """

    def SoftEdges(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        smoothing: float | Link[float] = 1.0,
    ) -> _SoftEdges:
        """Detect soft edges in gray: stronger edges are whiter.

        image: Any image. Its strongest edge becomes white.
        smoothing: Blur radius in pixels before detection. Larger values keep only the outlines.
        """

    def SolidMask(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        width: int | Link[int] = 512,
        height: int | Link[int] = 512,
        value: float | Link[float] = 1.0,
    ) -> _SolidMask:
        """Make a mask with the same value everywhere.

        image: The mask gets the size of this image. If not linked, width and height apply.
        width: Size in pixels, if no image is linked.
        height: Size in pixels, if no image is linked.
        value: 1 masks everything, 0 masks nothing.
        """

    def SortRegions(
        self,
        _name: str | None = None,
        /,
        *,
        regions: Link[Region] | Sequence[Out[Region]],
        by: _by | Link[str] = 'area',
        descending: bool | Link[bool] = True,
        first: int | Link[int] = 0,
        count: int | Link[int] = 1000,
        of: Literal['box', 'crop'] | Link[str] = 'box',
    ) -> _SortRegions:
        """Sort regions, and select some of them, for example the largest face.

        regions: The regions.
        by: What is measured, as for FilterRegions.
        descending: The largest value comes first.
        first: How many to leave out at the beginning.
        count: How many to select from there.
        of: Measure the box of the object, or the whole crop.
        """

    def SoundConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        text: str | Link[str] = '',
        kind: _kind_ | Link[str] = 'any',
        pitch: str | Link[str] = '',
        seconds: float | Link[float] | None = None,
    ) -> _SoundConditioning:
        """Conditioning for a sound model: a text, or kind, pitch and length.

        Inputs that are left out are not conditioned.

        text: Description, for example "a violin at A4, 0.5 s". It sets what the other inputs leave open.
        kind: Instrument, animal, machine or noise.
        pitch: A note, for example A4 or C#5, or a frequency, for example 440 Hz.
        seconds: Length in seconds until the sound is silent.
        """

    def SpanConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        start: float | Link[float] = 0.0,
        end: float | Link[float] = 1.0,
    ) -> _SpanConditioning:
        """Limit a prompt to a range of steps: early steps decide the layout, late steps the details.

        Where no prompt applies, the empty prompt is used. If the prompt already has a range, it is
        limited to the intersection of both.

        conditioning: The prompt.
        start: Share of the steps after which the prompt begins to apply.
        end: Share of the steps after which the prompt no longer applies.
        """

    def SpeedUp(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        compiled: bool | Link[bool] = False,
        fused_projections: bool | Link[bool] = False,
        channels_last: bool | Link[bool] = False,
        attention: _attention | Link[str] = 'auto',
        prompts: Literal['together', 'separate', 'fastest'] | Link[str] = 'together',
        matmul: Literal['auto', 'torchao'] | Link[str] = 'auto',
    ) -> _SpeedUp:
        """Speed a model up with compilation and other kernels. Results differ in the last bits.

        The weights are shared with other uses of the model.

        model: Model to change.
        compiled: Compile the repeated blocks with torch.compile. Each image size and number of prompts is compiled separately, which takes up to minutes the first time, and seconds in later processes. It needs a C++ compiler on a CPU, and triton on CUDA.
        fused_projections: Compute query, key and value in one operation. It takes memory for copies of these layers.
        channels_last: Store convolution weights in channels-last format, which suits UNets in half precision on CUDA. It takes memory for copies of the weights.
        attention: Attention backend: auto is the choice of torch, math is the plain computation. sliced takes less memory. flash, efficient and cudnn are kernels of torch for CUDA. sage (SageAttention, which computes in int8), flash_attn and xformers are kernels of packages of these names for CUDA. torch computes what such a kernel does not support, such as masks, and everything if the package is missing.
        prompts: How the prompts of a step are evaluated: together in one batch if they fit, separate, or on an accelerator the fastest of both. It is measured once for each model, size and device, and noted in the data folder. On a CPU, fastest is together.
        matmul: How quantized weights are multiplied. auto widens them to the precision of the model. torchao multiplies weights with storage int8 or float8 in 8 bits with the package of this name. It quantizes the inputs of the layers, too, so results differ more. It multiplies weights with storage uint4 by inputs in bfloat16.
        """

    def SplitChannels(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        space: Literal['rgb', 'hsv', 'lab'] | Link[str] = 'rgb',
    ) -> _SplitChannels:
        """Split images into channels. Each channel is a grayscale image.

        image: Images of any size. To get alpha, use MaskFromChannel.
        space: Color space: red, green, blue; hue, saturation, value; or CIE L, a, b. In a and b, middle gray means no color.
        """

    def SplitDataset(
        self,
        _name: str | None = None,
        /,
        *,
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        validation: float | Link[float] = 0.1,
        test: float | Link[float] = 0.1,
        seed: int | Link[int] = 0,
        exact: bool | Link[bool] = True,
    ) -> _SplitDataset:
        """Split a dataset into training, validation and test examples.

        Identical images always go into the same split.

        dataset: The dataset. Its previous splits are replaced.
        validation: Share of the examples for validation.
        test: Share of the examples for testing.
        seed: Seed of the random split.
        exact: Take exactly this share of each class. Otherwise each image is assigned independently: it keeps its split when other images are added or removed, and the shares are approximate.
        """

    def SplitSchedule(
        self,
        _name: str | None = None,
        /,
        *,
        schedule: Link[Schedule],
        step: int | Link[int] = 10,
    ) -> _SplitSchedule:
        """Split a schedule in two, for example to sample with two models.

        schedule: The schedule to split.
        step: Number of steps of the first part.
        """

    def SplitScheduleAtDenoise(
        self,
        _name: str | None = None,
        /,
        *,
        schedule: Link[Schedule],
        denoise: float | Link[float] = 0.5,
    ) -> _SplitScheduleAtDenoise:
        """Split a schedule in two, with a share of the steps in the second part.

        schedule: The schedule to split.
        denoise: Share of the steps in the second part: int(steps × denoise) steps.
        """

    def SplitSoundLatent(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
    ) -> _SplitSoundLatent:
        """Split the latent of a video with sound into both.

        latent: A latent that a model with sound sampled, such as LTX-2.
        """

    def SplitText(
        self,
        _name: str | None = None,
        /,
        *,
        text: str | Link[str],
        separator: str | Link[str] = ',',
        trim: bool | Link[bool] = True,
        keep_empty: bool | Link[bool] = False,
    ) -> _SplitText:
        """Split a text into parts.

        text: The text.
        separator: Separator between the parts. \\n is a line break, \\t a tab. If empty, any whitespace.
        trim: Whether to remove whitespace around each part.
        keep_empty: Whether to keep empty parts.
        """

    def SplitTiles(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        tile_width: int | Link[int] = 512,
        tile_height: int | Link[int] = 512,
        overlap: int | Link[int] = 64,
    ) -> _SplitTiles:
        """Split images into overlapping tiles, for example to sample a large image tile by tile.

        The tiles are a list: the following nodes run once per tile. JoinTiles joins them again.

        image: Images of any size. All images of a batch are split in the same way.
        tile_width: Tile size in pixels, limited to the size of the image.
        tile_height: Tile size in pixels, limited to the size of the image.
        overlap: Minimum overlap of neighboring tiles in pixels. At most half a tile.
        """

    def SplitView(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        other: Link[Image] | _Picture | Sequence[_Picture],
        position: float | Link[float] = 0.5,
        direction: Literal['horizontal', 'vertical'] | Link[str] = 'horizontal',
        line: int | Link[int] = 2,
    ) -> _SplitView:
        """Show one part of an image and the other part of another, like a before/after slider.

        image: The left or upper image.
        other: The right or lower image. It is scaled to the same size.
        position: Position of the split, 0 to 1.
        direction: Side by side, or one above the other.
        line: Width of the white dividing line in pixels.
        """

    def StageBConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
    ) -> _StageBConditioning:
        """Give stage B of Stable Cascade the latent that stage C has sampled.

        Stage B samples a larger latent that follows it, which the VAE of stage B decodes. Its cfg is
        mostly 1 or 1.1.

        conditioning: The positive prompt, by the text encoder of either stage. A negative prompt does not need this node.
        latent: The latent of stage C: one image, or as many as stage B samples.
        """

    def StitchCrop(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        part: Link[Image] | _Picture | Sequence[_Picture],
        region: Link[Region],
        feather: float | Link[float] = 8.0,
    ) -> _StitchCrop:
        """Paste a crop of CropToMask back. Outside the mask all pixels stay bit-identical.

        image: The image that was cropped.
        part: The changed crop, of any size.
        region: The region from CropToMask.
        feather: Width of the soft edge in pixels, from the edge of the mask inwards.
        """

    def StitchImages(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        other: Link[Image] | _Picture | Sequence[_Picture],
        side: Literal['right', 'below', 'left', 'above'] | Link[str] = 'right',
        match_size: bool | Link[bool] = True,
        gap: int | Link[int] = 0,
        color: str | Link[str] = 'white',
    ) -> _StitchImages:
        """Join two images side by side. The second is scaled so that the joined edges match.

        image: Images of any size.
        other: The images to attach: as many, or one for all.
        side: Side on which the other image is attached.
        match_size: Scale the other image to the height, or the width, of the first.
        gap: Gap between them in pixels.
        color: Color of the gap and of empty areas.
        """

    def StrengthConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        strength: float | Link[float] = 1.0,
    ) -> _StrengthConditioning:
        """Set the weight of a prompt relative to other prompts that apply at the same place and step.

        On a single prompt it has no effect. The guidance scale is the sampler's cfg.

        conditioning: The prompt.
        strength: Factor for the prompt's current weight.
        """

    def Superpixels(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        parts: int | Link[int] = 200,
        method: Literal['slic', 'felzenszwalb', 'watershed'] | Link[str] = 'slic',
    ) -> _Superpixels:
        """Divide an image into superpixels, each filled with its mean color.

        image: Any image.
        parts: Approximate number of segments.
        method: Slic makes segments of about the same size. Felzenszwalb makes larger segments in even areas. Watershed follows the edges.
        """

    def Switch(
        self,
        _name: str | None = None,
        /,
        *,
        condition: bool | Link[bool],
        on_true: Any = None,
        on_false: Any = None,
    ) -> _Switch:
        """Choose one of two values by a condition. Nodes that only the other value needs do not run.

        condition: True chooses on_true, false on_false.
        on_true: The two values. If the chosen one is not linked, nodes that depend on this node are skipped.
        on_false: The two values. If the chosen one is not linked, nodes that depend on this node are skipped.
        """

    def TagImage(
        self,
        _name: str | None = None,
        /,
        *,
        model: str | Link[str],
        image: Link[Image] | _Picture | Sequence[_Picture],
        general: float | Link[float] = 0.35,
        character: float | Link[float] = 0.85,
        excluded: str | Link[str] = '',
        underscores: bool | Link[bool] = False,
        escape: bool | Link[bool] = False,
        add_rating: bool | Link[bool] = False,
        separator: str | Link[str] = ', ',
    ) -> _TagImage:
        """Tag images in the form of Danbooru, with a tagger of the WD14 kind.

        It needs the package onnxruntime: pip install 'nodegraph[tag]'.

        model: Folder with model.onnx and selected_tags.csv in a models folder, for example taggers/wd-vit-tagger-v3.
        image: Any image. Each image of a batch gets its tags.
        general: Minimum confidence of a general tag.
        character: Minimum confidence of a character.
        excluded: Tags to leave out, separated by commas.
        underscores: Write long_hair instead of long hair.
        escape: Write backslashes before parentheses, so that prompts do not read them as weights.
        add_rating: Add the rating, such as general or explicit, as the first tag.
        separator: Text between two tags.
        """

    def TakeExamples(
        self,
        _name: str | None = None,
        /,
        *,
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        count: int | Link[int] = 10,
        order: Literal['as they are', 'shuffled', 'by name'] | Link[str] = 'shuffled',
        per_label: bool | Link[bool] = False,
        seed: int | Link[int] = 0,
        start: int | Link[int] = 0,
    ) -> _TakeExamples:
        """Take a number of a dataset's examples, in a given order.

        dataset: The dataset.
        count: Number of examples. 0 takes all.
        order: Order of the examples. A shuffled order changes little when examples are added or removed.
        per_label: Take this number of each class.
        seed: Seed of the shuffling.
        start: Index of the first example, counted from 0.
        """

    def TangentialGuider(
        self,
        _name: str | None = None,
        /,
        *,
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        cfg: float | Link[float] = 7.0,
    ) -> _TangentialGuider:
        """Tangential damping guidance (TCFG): removes the disturbing part of the negative prediction.

        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        """

    def TaylorSeerCache(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        interval: int | Link[int] = 3,
        warm_up: int | Link[int] = 4,
        order: int | Link[int] = 1,
        lite: bool | Link[bool] = False,
    ) -> _TaylorSeerCache:
        """Extrapolate attention outputs between full steps with a Taylor series (arXiv:2503.06923).

        The cache takes memory: order + 1 times the outputs of all attention layers.

        model: Model to change.
        interval: Every n-th evaluation of the network is computed in full.
        warm_up: Number of full evaluations at the start. Second-order samplers evaluate the network twice per step.
        order: Order of the Taylor series. 0 repeats the last computed output.
        lite: Extrapolate only the last layer, and skip all blocks. It is far faster and takes very little memory. It works for transformers with such a last layer.
        """

    def Text(
        self,
        _name: str | None = None,
        /,
        *,
        text: str | Link[str] = '',
    ) -> _Text:
        """A text that can be linked to several inputs.

        text: The text.
        """

    def TextBoxConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        gligen: Link[GLIGEN],
        text: str | Link[str] = '',
        x: float | Link[float] = 0.0,
        y: float | Link[float] = 0.0,
        width: float | Link[float] = 256.0,
        height: float | Link[float] = 256.0,
        unit: Literal['pixels', 'shares'] | Link[str] = 'pixels',
        negative: Literal['empty', 'same'] | Link[str] = 'empty',
    ) -> _TextBoxConditioning:
        """Place a phrase in a box of the image, with GLIGEN.

        Chain several of these nodes for several boxes, up to 30, with one LoadGLIGEN for all. The
        prompt should name the phrases, too. All other prompts of the sampling are evaluated with the
        same layers and without boxes.

        conditioning: The prompt for the whole image.
        encoder: The text encoder of the model.
        gligen: The layers from LoadGLIGEN.
        text: What the box shows, in a few words. Weights are ignored.
        x: Left edge of the box.
        y: Top edge of the box.
        width: Width of the box. A part outside the image is ignored.
        height: Height of the box.
        unit: Unit of these values: pixels of the sampled image, or shares of its width and height.
        negative: Boxes of negative prompts that have none: empty, as GLIGEN was made for, or the same boxes, as in ComfyUI.
        """

    def TextLength(
        self,
        _name: str | None = None,
        /,
        *,
        text: str | Link[str] = '',
        unit: Literal['letters', 'words', 'lines'] | Link[str] = 'letters',
    ) -> _TextLength:
        """Return the length of a text.

        text: The text.
        unit: What to count: characters including spaces, words, or lines.
        """

    def TextualInversion(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        word: str | Link[str] = '<thing>',
        begin: str | Link[str] = '',
        template: str | Link[str] = 'a photo of {}',
        vectors: int | Link[int] = 1,
        steps: int | Link[int] = 500,
        batch: int | Link[int] = 4,
        learning_rate: float | Link[float] = 0.005,
        seed: int | Link[int] = 0,
        options: Link[TrainingOptions] | None = None,
    ) -> _TextualInversion:
        """Train a new word for what images show (textual inversion). The result is a file of a few KB.

        Only the embedding of the word is trained. It works with Stable Diffusion 1.x, 2.x and XL, which
        use CLIP.

        model: The model to train the word for.
        text_encoder: The text encoder of the same model. It gets the new word.
        vae: The VAE of the same model. It encodes the images.
        dataset: Images of one object or of one style.
        word: The new word. It must not be an existing word.
        begin: A similar word to start from, for example dog. If empty, it starts from random values.
        template: Caption for images whose caption does not contain the word. {} stands for the word.
        vectors: Number of tokens for the word. More tokens hold more detail, and leave less room in prompts.
        steps: Number of optimizer steps.
        batch: Images per step.
        learning_rate: Learning rate.
        seed: Seed of all random choices of the training.
        options: More options, from TrainingSettings.
        """

    def ThresholdGuider(
        self,
        _name: str | None = None,
        /,
        *,
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        cfg: float | Link[float] = 12.0,
        mimic_cfg: float | Link[float] = 5.0,
        percentile: float | Link[float] = 0.995,
    ) -> _ThresholdGuider:
        """Dynamic thresholding: a high guidance scale within the value range of a lower scale.

        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        mimic_cfg: The lower guidance scale whose value range is used.
        percentile: Share of a channel's values that is not clipped. 1 clips nothing.
        """

    def ThresholdImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        level: float | Link[float] = 0.5,
        softness: float | Link[float] = 0.0,
    ) -> _ThresholdImage:
        """Convert images to black and white by a brightness threshold.

        image: Images of any size.
        level: Brightness at and above which a pixel becomes white.
        softness: Width of the transition from black to white.
        """

    def ThresholdMask(
        self,
        _name: str | None = None,
        /,
        *,
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        low: float | Link[float] = 0.5,
        high: float | Link[float] = 1.0,
    ) -> _ThresholdMask:
        """Make a mask hard: 1 where its value is in a range, 0 elsewhere.

        mask: Any mask.
        low: Limits of the range, both included.
        high: Limits of the range, both included.
        """

    def TileHint(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        factor: float | Link[float] = 4.0,
    ) -> _TileHint:
        """Remove details from an image for a tile ControlNet, which generates new details.

        image: Any image.
        factor: Factor by which the image is scaled down, and then up again.
        """

    def TileImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        columns: int | Link[int] = 2,
        rows: int | Link[int] = 2,
        mirror: bool | Link[bool] = False,
    ) -> _TileImage:
        """Repeat images in columns and rows.

        image: Images of any size.
        columns: Number of repeats in each direction.
        rows: Number of repeats in each direction.
        mirror: Mirror every second tile, so that edges match.
        """

    def TileRegions(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        tile_width: int | Link[int] = 512,
        tile_height: int | Link[int] = 512,
        padding: int | Link[int] = 32,
        order: Literal['rows', 'checkerboard'] | Link[str] = 'rows',
    ) -> _TileRegions:
        """Divide an image into tiles, as regions for DetailRegions.

        Each tile is painted with the surroundings that the tiles before it have got.

        image: Any image.
        tile_width: Size of the tiles in pixels.
        tile_height: Size of the tiles in pixels.
        padding: Pixels around a tile that the model sees, and into which its edge fades.
        order: Row by row, or first every second tile, and then those between them.
        """

    def TiledGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        tile_width: int | Link[int] = 1024,
        tile_height: int | Link[int] = 1024,
        strategy: Literal['random', 'random strict', 'padded', 'simple'] | Link[str] = 'random strict',
        seed: int | Link[int] = 0,
    ) -> _TiledGuidance:
        """Evaluate the model tile by tile in each step, for images larger than the model can take.

        It works with every sampler. Each tile has the prompts of its part of the image: areas, masks
        and control images are cropped. A tile that covers the image changes nothing.

        guider: The guider to change.
        tile_width: Size of the tiles in pixels. Use about the training size of the model.
        tile_height: Size of the tiles in pixels. Use about the training size of the model.
        strategy: random: bricks at another position in each step, which leaves no seams but cuts tiles at the edges of the image. random strict: the same, but tiles at the edges keep their size. padded: a fixed grid of half the tile size, where each part is evaluated with its surroundings, in up to 4 times as many evaluations. simple: a fixed grid, without overlap, which may leave seams.
        seed: Seed of the positions of random and random strict.
        """

    def Timesteps(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        steps: int | Link[int] = 5,
        schedule: _schedule | Link[str] = 'linspace',
        denoise: float | Link[float] = 1.0,
        order: Literal['noisiest first', 'clean first'] | Link[str] = 'noisiest first',
    ) -> _Timesteps:
        """Return the training timesteps of a schedule, for example for AddNoise.

        model: The model whose timesteps are used.
        steps: Number of steps of the whole schedule.
        schedule: How the timesteps are spaced. leading, trailing and linspace space them evenly.
        denoise: Share of the schedule to return, from its end.
        order: noisiest first is the order of sampling. clean first is the order of forward diffusion.
        """

    def ToInteger(
        self,
        _name: str | None = None,
        /,
        *,
        value: str | int | float | bool | Link[str] | Link[int] | Link[float] | Link[bool],
        whole: Literal['nearest', 'cut off'] | Link[str] = 'nearest',
    ) -> _ToInteger:
        """Convert a value to a whole number. Text is parsed, true becomes 1, decimals are rounded.

        value: A number, a text that is a number, or true or false.
        whole: Round to the nearest whole number, or cut off the decimals.
        """

    def ToNumber(
        self,
        _name: str | None = None,
        /,
        *,
        value: str | int | float | bool | Link[str] | Link[int] | Link[float] | Link[bool],
    ) -> _ToNumber:
        """Convert a value to a number. Text is parsed, true becomes 1.

        value: A number, a text that is a number, or true or false.
        """

    def ToText(
        self,
        _name: str | None = None,
        /,
        *,
        value: Any,
        digits: int | Link[int] = -1,
    ) -> _ToText:
        """Convert any value to text. Images and latents are described by size and statistics.

        value: Any value. Each item of a list becomes a line.
        digits: Number of decimals. -1 keeps all.
        """

    def Today(
        self,
        _name: str | None = None,
        /,
        *,
        format: str | Link[str] = '%Y-%m-%d',
    ) -> _Today:
        """The current date or time as text. Nodes that depend on it rerun when the text changes.

        format: %Y year, %m month, %d day, %H hour, %M minute, %S second, %A weekday, %B month name, %j day of the year, %V week.
        """

    def ToneMapGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        multiplier: float | Link[float] = 1.0,
    ) -> _ToneMapGuidance:
        """Tone-map what separates the positive from the negative prediction, so that high scales do not
        overexpose.

        guider: The guider to change.
        multiplier: Larger values change less. See ToneMapLatent.
        """

    def ToneMapLatent(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        multiplier: float | Link[float] = 1.0,
    ) -> _ToneMapLatent:
        """Reduce the contrast of a latent by Reinhard's curve: strong cells are weakened most.

        latent: A latent with content. An empty one stays empty.
        multiplier: Larger values change less.
        """

    def TrackConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        image: Link[Image] | _Picture | Sequence[_Picture],
        tracks: str | Link[str] = '[]',
        frames: int | Link[int] = 81,
        temperature: float | Link[float] = 220.0,
        top_k: int | Link[int] = 2,
        image_encoder: Link[ImageEncoder] | _values.ImageEncoder | Sequence[_values.ImageEncoder] | None = None,
    ) -> _TrackConditioning:
        """Set the first frame and the paths of its points, for the ATI model of Wan 2.1.

        The latent is empty and has the size of the image. Without tracks, the node sets the first frame
        alone.

        conditioning: The prompt. A negative prompt does not need this node.
        vae: The VAE of the model.
        image: One image of the size of the video. Use ResizeImage before this node.
        tracks: JSON: a list of tracks. A track is a list of points with `x` and `y` in pixels, 24 per second: 121 points are the whole video. After its last point, a track ends.
        frames: Number of frames: a multiple of 4 plus 1.
        temperature: How narrow the trace of a point is. Higher values move a smaller surrounding.
        top_k: Number of points that move a place at most, where tracks meet.
        image_encoder: The image encoder that sees the image, from a file of its own: clip_vision_h.
        """

    def TrainClassifier(
        self,
        _name: str | None = None,
        /,
        *,
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        steps: int | Link[int] = 300,
        batch: int | Link[int] = 16,
        learning_rate: float | Link[float] = 0.001,
        size: Literal['tiny', 'small', 'medium'] | Link[str] = 'tiny',
        side: int | Link[int] = 64,
        seed: int | Link[int] = 0,
        options: Link[TrainingOptions] | None = None,
    ) -> _TrainClassifier:
        """Train a small image classifier from scratch on a labeled dataset.

        The weights are saved in the format of transformers: a ConvNeXt with its image processor.

        dataset: Images with labels. The accuracy is measured on the validation split.
        steps: Number of training steps.
        batch: Images per step.
        learning_rate: Learning rate.
        size: Size of the network: tiny has 0.2 million weights, small 1.6, medium 8.
        side: Side of the square, in pixels, to which images are resized.
        seed: Random seed of the training.
        options: More settings, from TrainingSettings. Settings about noise have no effect.
        """

    def TrainControlNet(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        preprocessor: Link[Preprocessor],
        steps: int | Link[int] = 1000,
        batch: int | Link[int] = 4,
        learning_rate: float | Link[float] = 1e-05,
        seed: int | Link[int] = 0,
        options: Link[TrainingOptions] | None = None,
    ) -> _TrainControlNet:
        """Train a ControlNet for the output of a preprocessor, for example edges.

        It works with Stable Diffusion 1.x, 2.x and XL. The ControlNet starts as a copy of the UNet
        encoder with zero-initialized outputs. Large models need thousands of images.

        model: The model that the ControlNet is for. It does not change.
        text_encoder: The text encoder of the same model. It encodes the captions.
        vae: The VAE of the same model. It encodes the images.
        dataset: Images with captions.
        preprocessor: Makes the control image from each image.
        steps: Number of optimizer steps.
        batch: Images per step.
        learning_rate: Learning rate.
        seed: Seed of all random choices of the training.
        options: More options, from TrainingSettings.
        """

    def TrainLoRA(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[DiffusionModel] | _values.DiffusionModel | Sequence[_values.DiffusionModel],
        text_encoder: Link[TextEncoder] | _values.TextEncoder | Sequence[_values.TextEncoder],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        dataset: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset],
        kept: Link[Dataset] | _training_values.Dataset | Sequence[_training_values.Dataset] | None = None,
        steps: int | Link[int] = 500,
        batch: int | Link[int] = 4,
        learning_rate: float | Link[float] = 0.0001,
        rank: int | Link[int] = 16,
        alpha: float | Link[float] = 0.0,
        layers: Literal['attention', 'attention and feed-forward', 'all'] | Link[str] = 'attention and feed-forward',
        seed: int | Link[int] = 0,
        options: Link[TrainingOptions] | None = None,
        samples: Link[TrainingSamples] | None = None,
    ) -> _TrainLoRA:
        """Train a LoRA on a few images of a style or subject.

        The output model includes the LoRA and is ready to sample. A training that was stopped continues
        later from its last state, with bit-identical results.

        model: The model to train. Its original weights do not change.
        text_encoder: The text encoder of the same model. It encodes the captions.
        vae: The VAE of the same model. It encodes the images.
        dataset: Images with captions.
        kept: Regularization images, for example made by the model itself, with captions that do not contain the new words. They keep a style from spreading to all images. Each batch has as many of them.
        steps: Number of optimizer steps.
        batch: Images per step.
        learning_rate: Learning rate. 1e-4 for large models, up to 2e-3 for small ones.
        rank: Rank of the LoRA: 4 to 16 for a style, 32 and up for more.
        alpha: LoRA alpha. The LoRA is scaled by alpha / rank. 0 uses the rank, which is a scale of 1.
        layers: Layers to train. all includes convolutions, which helps for a style.
        seed: Seed of all random choices of the training.
        options: More options, from TrainingSettings.
        samples: Sample images during training, from WatchTraining.
        """

    def TrainingSettings(
        self,
        _name: str | None = None,
        /,
        *,
        optimizer: Literal['adamw', 'adamw8bit', 'adafactor', 'sgd'] | Link[str] = 'adamw',
        schedule: _schedule__ | Link[str] = 'cosine',
        warmup: int | Link[int] = 0,
        weight_decay: float | Link[float] = 0.01,
        clip: float | Link[float] = 1.0,
        accumulate: int | Link[int] = 1,
        precision: Literal['auto', 'float32', 'bfloat16', 'float16'] | Link[str] = 'auto',
        saves_memory: bool | Link[bool] = False,
        average: float | Link[float] = 0.0,
        min_snr: float | Link[float] = 0.0,
        noise_offset: float | Link[float] = 0.0,
        levels: Literal['auto', 'uniform', 'logit_normal'] | Link[str] = 'auto',
        kept_weight: float | Link[float] = 1.0,
        variations: int | Link[int] = 8,
        embedded_guidance: float | Link[float] = 1.0,
    ) -> _TrainingSettings:
        """Training options: optimizer, learning rate schedule, precision, loss.

        optimizer: adamw8bit takes less memory, and needs bitsandbytes and a GPU. adafactor takes less memory, too.
        schedule: Learning rate schedule after the warm-up.
        warmup: Steps over which the learning rate rises from 0.
        weight_decay: Weight decay.
        clip: Maximum gradient norm over all weights. 0 does not clip.
        accumulate: Gradient accumulation: batches per step. It acts as a larger batch, in the memory of one batch.
        precision: Compute precision. auto uses the precision of the model's weights.
        saves_memory: Gradient checkpointing: recompute activations instead of storing them. It is about a third slower and takes much less memory.
        average: Decay of the exponential moving average (EMA) of the weights, for example 0.999. 0 returns the last weights.
        min_snr: Min-SNR gamma: noise levels with a larger signal-to-noise ratio get less weight. 5 is usual, 0 turns it off. Not for flow matching models.
        noise_offset: Offset noise. About 0.05 allows darker and brighter images.
        levels: Sampling of noise levels: all equally, or middle levels more often. auto is the latter for flow matching models.
        kept_weight: Loss weight of regularization images.
        variations: Maximum number of augmented versions of each image, if the dataset uses augmentation.
        embedded_guidance: Guidance scale input of Flux.1 dev and similar models during training.
        """

    def TrimAudio(
        self,
        _name: str | None = None,
        /,
        *,
        audio: Link[Audio] | _values.Audio | Sequence[_values.Audio],
        start: float | Link[float] = 0.0,
        seconds: float | Link[float] = 0.0,
    ) -> _TrimAudio:
        """Cut a part out of audio.

        audio: Audio of any length.
        start: Seconds to skip at the beginning.
        seconds: Maximum length to keep, in seconds. 0 keeps all.
        """

    def TrimVideo(
        self,
        _name: str | None = None,
        /,
        *,
        video: Link[Video] | _values.Video | Sequence[_values.Video],
        first: int | Link[int] = 0,
        count: int | Link[int] = 0,
        every: int | Link[int] = 1,
    ) -> _TrimVideo:
        """Trim a video, with its audio.

        video: Any video.
        first: Number of frames to skip at the start.
        count: Maximum number of frames to keep. 0 keeps all.
        every: Keep every n-th frame. The frame rate is divided by n.
        """

    def UniqueItems(
        self,
        _name: str | None = None,
        /,
        *,
        items: list[Any] | Link[Any] | Sequence[Any | Out[Any]],
    ) -> _UniqueItems:
        """Remove duplicates from a list. The first of equal items is kept.

        items: The list. Images and other tensors are compared by content.
        """

    def UpscaleImage(
        self,
        _name: str | None = None,
        /,
        *,
        model: Link[UpscaleModel],
        image: Link[Image] | _Picture | Sequence[_Picture],
        factor: float | Link[float] = 0.0,
        tile: int | Link[int] = 512,
        overlap: int | Link[int] = 32,
    ) -> _UpscaleImage:
        """Upscale images with a trained upscale model.

        model: A model from LoadUpscaleModel.
        image: Images of any size. Transparency is scaled with bicubic interpolation.
        factor: Scale of the sides. 0 uses the scale of the model. For other values the result is resized with Lanczos interpolation.
        tile: Side of the tiles in pixels, which limits the memory. 0 processes the whole image at once. If memory runs out, smaller tiles are used.
        overlap: Overlap of neighboring tiles in pixels, blended. At most half a tile.
        """

    def UpscaleLatent(
        self,
        _name: str | None = None,
        /,
        *,
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        model: Link[LatentUpscaleModel],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
    ) -> _UpscaleLatent:
        """Upscale the latent of a video with a latent upscale model.

        It makes videos larger, or twice as smooth. Sample the result with a low denoise afterwards.

        latent: A sampled video latent. Its sound is kept, and its noise mask is scaled.
        model: A model from LoadLatentUpscaleModel.
        vae: The VAE of the model that sampled the latent. It holds the statistics of the latents.
        """

    def VAEDecode(
        self,
        _name: str | None = None,
        /,
        *,
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        tile: int | Link[int] = 0,
        overlap: int | Link[int] = 64,
    ) -> _VAEDecode:
        """Decode latents to images.

        vae: The VAE of the model that made the latents.
        latent: Latents from a sampler or from VAEEncode.
        tile: Tile size in pixels. Tiling takes less memory and changes the result slightly. 0 processes the whole image, and uses tiles only if memory runs out.
        overlap: Overlap of neighboring tiles in pixels, over which they are blended. At most half of a tile.
        """

    def VAEDecodeAudio(
        self,
        _name: str | None = None,
        /,
        *,
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
    ) -> _VAEDecodeAudio:
        """Decode a latent of sound or music, or the sound of a video latent, to audio.

        SetVideoAudio puts it into the video.

        vae: The VAE of a model that generates sound, such as LTX-2 or ACE-Step 1.5.
        latent: The latent of one video with sound, or of one piece of sound alone.
        """

    def VAEDecodeMesh(
        self,
        _name: str | None = None,
        /,
        *,
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        grid: int | Link[int] = 128,
    ) -> _VAEDecodeMesh:
        """Decode the solids of a latent to closed meshes with colors, one for each solid.

        Solids without a surface are left out.

        vae: The VAE of a model that generates solids, such as Shap-E.
        latent: Latents from a sampler.
        grid: Cells per side of the grid. More give finer details. Twice as many take eight times as long.
        """

    def VAEDecodeVideo(
        self,
        _name: str | None = None,
        /,
        *,
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        rate: float | Link[float] = 16.0,
        tile: int | Link[int] = 0,
        overlap: int | Link[int] = 64,
    ) -> _VAEDecodeVideo:
        """Decode the latent of a video to frames.

        vae: The VAE of the model that made the latent.
        latent: The latent of one video, sampled or encoded.
        rate: Frames per second of the video: 16 for Wan, 24 for Wan 2.2 5B and LTX-2, 25 for LTX-Video. 23.976 means 24000/1001.
        tile: Tile size in pixels. Tiling takes less memory and changes the result slightly. 0 processes the whole image, and uses tiles only if memory runs out.
        overlap: Overlap of neighboring tiles in pixels, over which they are blended. At most half of a tile.
        """

    def VAEDecodeViews(
        self,
        _name: str | None = None,
        /,
        *,
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        latent: Link[Latent] | _values.Latent | Sequence[_values.Latent],
        views: int | Link[int] = 20,
        size: int | Link[int] = 64,
    ) -> _VAEDecodeViews:
        """Render the solids of a latent from cameras on a circle around them.

        The first and the last view of a solid are the same. On a CPU this takes minutes: use
        VAEDecodeMesh there.

        vae: The VAE of a model that generates solids, such as Shap-E.
        latent: Latents from a sampler.
        views: Number of views of each solid.
        size: Side of the square images in pixels. Twice the size takes four times as long.
        """

    def VAEEncode(
        self,
        _name: str | None = None,
        /,
        *,
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        image: Link[Image] | _Picture | Sequence[_Picture],
        tile: int | Link[int] = 0,
        overlap: int | Link[int] = 64,
        crop: bool | Link[bool] = False,
    ) -> _VAEEncode:
        """Encode images to latents.

        vae: The VAE of the model that uses the latents.
        image: Opaque images. Their sides are multiples of the VAE's cell, usually 8 pixels.
        tile: Tile size in pixels. Tiling takes less memory and changes the result slightly. 0 processes the whole image, and uses tiles only if memory runs out.
        overlap: Overlap of neighboring tiles in pixels, over which they are blended. At most half of a tile.
        crop: Crop the image to whole cells of the VAE, by the same amount on both sides. If off, an image of another size is an error.
        """

    def VAEEncodeAudio(
        self,
        _name: str | None = None,
        /,
        *,
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        audio: Link[Audio] | _values.Audio | Sequence[_values.Audio],
    ) -> _VAEEncodeAudio:
        """Encode audio to a latent of sound.

        vae: The VAE of a model that generates sound, such as LTX-2 or ACE-Step 1.5.
        audio: Mono or stereo audio of any sample rate.
        """

    def VAEEncodeInpaint(
        self,
        _name: str | None = None,
        /,
        *,
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        image: Link[Image] | _Picture | Sequence[_Picture],
        mask: Link[Mask] | _Picture | Sequence[_Picture],
        grow: int | Link[int] = 6,
        crop: bool | Link[bool] = False,
    ) -> _VAEEncodeInpaint:
        """Encode images with the masked area replaced by gray, for inpainting.

        Sample with the whole schedule (denoise 1), because the gray area contains no image to start
        from. To change existing content, encode the image as it is and use SetNoiseMask.

        vae: VAE of the model that is used for sampling.
        image: Opaque images with sides that are multiples of the VAE's cell, usually 8 pixels.
        mask: Mask, scaled to the images. Values above 0.5 count as 1, which is filled; others count as 0, which is kept.
        grow: Side of a square, in pixels, by which the sampled area extends beyond the gray, so that no seam is visible. 6 adds 2 pixels on the left and top, and 3 on the right and bottom.
        crop: Center-crop image and mask to multiples of the VAE's cell. Otherwise such sizes are refused.
        """

    def VAEEncodeVideo(
        self,
        _name: str | None = None,
        /,
        *,
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        video: Link[Video] | _values.Video | Sequence[_values.Video],
        tile: int | Link[int] = 0,
        overlap: int | Link[int] = 64,
    ) -> _VAEEncodeVideo:
        """Encode a video to a latent.

        vae: The VAE of the model that uses the latent.
        video: A video whose sides and number of frames fit the model. TrimVideo shortens it.
        tile: Tile size in pixels. Tiling takes less memory and changes the result slightly. 0 processes the whole image, and uses tiles only if memory runs out.
        overlap: Overlap of neighboring tiles in pixels, over which they are blended. At most half of a tile.
        """

    def VPSchedule(
        self,
        _name: str | None = None,
        /,
        *,
        steps: int | Link[int] = 20,
        beta_range: float | Link[float] | None = None,
        beta_min: float | Link[float] = 0.1,
        least: float | Link[float] = 0.001,
    ) -> _VPSchedule:
        """Variance-preserving (VP) noise schedule: levels at evenly spaced times of the VP process.

        steps: Number of steps.
        beta_range: By how much beta rises over the process (19.9 in the paper). If left out, the process ends at the largest level of the model.
        beta_min: Beta at the start of the process.
        least: The last time above 0.
        """

    def VaceConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        vae: Link[Vae] | _values.Vae | Sequence[_values.Vae],
        width: int | Link[int] = 832,
        height: int | Link[int] = 480,
        frames: int | Link[int] = 81,
        video: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        mask: Link[Mask] | _Picture | Sequence[_Picture] | None = None,
        reference: Link[Image] | _Picture | Sequence[_Picture] | None = None,
        strength: float | Link[float] = 1.0,
    ) -> _VaceConditioning:
        """Set the control video, masks and reference images for Wan VACE.

        Without a video and references, the video is generated from the prompt alone. After sampling,
        remove the latent frames of the references: link `references` to the `start` of a
        CutLatentFrames.

        conditioning: The prompt. A negative prompt does not need this node.
        vae: The VAE of the model.
        width: Size of the video in pixels.
        height: Size of the video in pixels.
        frames: Number of frames: a multiple of 4 plus 1.
        video: Frames to follow or to keep, such as edges, depth, or a video with gray areas to fill. They have the size of the video. A shorter video continues with gray frames.
        mask: One mask for each frame: white is generated from the frame as a control image, black is kept. Frames without a mask are white.
        reference: One or more images of what the video shows, of any size.
        strength: Factor of the control's effect. 0 ignores it.
        """

    def ValenceGuidance(
        self,
        _name: str | None = None,
        /,
        *,
        guider: Link[Guider],
        strength: float | Link[float] = 1.0,
        start: float | Link[float] = 0.0,
        end: float | Link[float] = 1.0,
    ) -> _ValenceGuidance:
        """Guide molecules so that no atom has too many bonds. Far more of them are valid.

        No extra network is evaluated. In each step, the prediction moves along the gradient of its
        valence errors.

        guider: The guider to extend, with a MoleculeConditioning.
        strength: Size of the correction, which is applied six times per step. 1 is the full step along the gradient, 0 is none.
        start: Range of the sampling in which it applies, 0 to 1.
        end: Range of the sampling in which it applies, 0 to 1.
        """

    def VideoFromImages(
        self,
        _name: str | None = None,
        /,
        *,
        images: Link[Image] | Sequence[Out[Image] | _Picture],
        rate: float | Link[float] = 24.0,
        audio: Link[Audio] | _values.Audio | Sequence[_values.Audio] | None = None,
    ) -> _VideoFromImages:
        """Make a video from images.

        images: The frames, all of one size. A batch counts as several images.
        rate: Frames per second. 23.976 and 29.97 mean 24000/1001 and 30000/1001.
        audio: Audio that starts with the first frame.
        """

    def Vignette(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        strength: float | Link[float] = 0.6,
        radius: float | Link[float] = 0.4,
        softness: float | Link[float] = 0.6,
        color: str | Link[str] = 'black',
    ) -> _Vignette:
        """Darken images towards their corners.

        image: Images of any size.
        strength: Darkness at `radius` + `softness` of the distance to the corners, and beyond.
        radius: Start of the transition: 0 is the center, 1 the corners.
        softness: Width of the transition. If it ends beyond the corners, the corners are less dark.
        color: Color of the corners.
        """

    def VoxelsFromMask(
        self,
        _name: str | None = None,
        /,
        *,
        mask: Link[Mask] | _Picture | Sequence[_Picture],
    ) -> _VoxelsFromMask:
        """Stack the masks of a batch to a grid of voxels.

        The first mask is in front, and the top of the masks is up.

        mask: Slices of the solid, for example of a scan. 1 is inside.
        """

    def WarpImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        corners: str | Link[str] = '0.1,0 0.9,0.1 1,1 0,0.9',
        color: str | Link[str] = 'black',
        method: Literal['bicubic', 'bilinear', 'nearest'] | Link[str] = 'bicubic',
    ) -> _WarpImage:
        """Warp the perspective of images by moving their corners.

        image: Images of any size. The size does not change.
        corners: New positions of the corners, clockwise from the top left, as shares of width and height. 0,0 1,0 1,1 0,1 has no effect.
        color: Color of the empty area. A transparent color like #00000000 gives images with alpha.
        method: Interpolation. Nearest keeps pixel values unchanged.
        """

    def WatchTraining(
        self,
        _name: str | None = None,
        /,
        *,
        prompts: str | Link[str],
        every: int | Link[int] = 100,
        steps: int | Link[int] = 20,
        cfg: float | Link[float] = 5.0,
        width: int | Link[int] = 0,
        height: int | Link[int] = 0,
        seed: int | Link[int] = 0,
    ) -> _WatchTraining:
        """Generate sample images during a training, to watch its progress.

        prompts: One prompt per line. Each gives an image.
        every: Training steps between samples.
        steps: Sampling steps.
        cfg: Guidance scale.
        width: Width in pixels. 0 uses the training size of the model.
        height: Height in pixels. 0 uses the training size of the model.
        seed: Seed of the images.
        """

    def WatermarkImage(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        payload: int | Link[int] = 0,
        strength: float | Link[float] = 1.0,
    ) -> _WatermarkImage:
        """Add an invisible watermark that carries a number.

        ReadWatermark reads it, also after JPEG, resizing and cropping, but not after rotation. The
        pattern is public: anyone can read, copy or remove it. It shows where an image comes from and
        proves nothing.

        image: The images, at least 256 pixels on each side. Transparency stays.
        payload: The number, 32 bits, for example of a project or a user.
        strength: Factor of the amplitude. Less is harder to see, more is easier to read.
        """

    def While(
        self,
        _name: str | None = None,
        /,
        *,
        state: Any,
        body: str | BuiltSubgraph,
        max_iterations: int | Link[int] = 1000,
        **inputs: Any,
    ) -> _While:
        """Run a subgraph on its own result while it asks to continue.

        The subgraph takes a `state`, and optionally its number as `index`. It returns the next `state`,
        and `continue`: whether to run again. Its other inputs become inputs of this node.

        state: The state of the first run.
        body: Name of the subgraph.
        max_iterations: Maximum number of runs. A loop that would continue after that many is an error.
        """

    def WhiteBalance(
        self,
        _name: str | None = None,
        /,
        *,
        image: Link[Image] | _Picture | Sequence[_Picture],
        temperature: float | Link[float] = 0.0,
        tint: float | Link[float] = 0.0,
        auto: Literal['none', 'grey world', 'brightest'] | Link[str] = 'none',
    ) -> _WhiteBalance:
        """Make colors warmer or cooler, or remove a color cast.

        image: Images of any size.
        temperature: Positive values are warmer, negative values cooler.
        tint: Positive values are more magenta, negative values greener.
        auto: Automatic white balance: the mean becomes gray, or the brightest hundredth of the pixels becomes white. Temperature and tint are applied afterwards.
        """

    def ZeroOutConditioning(
        self,
        _name: str | None = None,
        /,
        *,
        conditioning: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
    ) -> _ZeroOutConditioning:
        """Replace a prompt's embeddings and pooled embedding with zeros, as a negative prompt.

        For Stable Diffusion XL and 3 this is the best choice if the negative prompt has no text.
        Reference images and sizes in the conditioning are kept.

        conditioning: Any prompt from the model's text encoder.
        """

    def ZeroStarGuider(
        self,
        _name: str | None = None,
        /,
        *,
        positive: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning],
        negative: Link[Conditioning] | _values.Conditioning | Sequence[_values.Conditioning] | None = None,
        cfg: float | Link[float] = 4.0,
        zero_steps: int | Link[int] = 1,
    ) -> _ZeroStarGuider:
        """CFG-Zero* for flow models: scales the negative prediction, and skips the first steps.

        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        zero_steps: Number of first steps with a zero velocity. There, a flow model's prediction is worse than none. Use 0 for other models.
        """

    @property
    def diffusers(self) -> PackNodes: ...
