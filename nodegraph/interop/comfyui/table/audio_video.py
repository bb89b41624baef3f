"""Audio and video: load, save, cut and combine."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry, same
from nodegraph.interop.comfyui.table.images import name_of, prefix_of
from nodegraph.interop.comfyui.table.parts import FILES, compute_number, refuse_others
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_PREFIX = 'audio: AUDIO, filename_prefix: STRING = "audio/ComfyUI"'
_AUDIO_FORMATS = {"SaveAudio": "flac", "SaveAudioMP3": "mp3", "SaveAudioOpus": "opus"}
_HALF = -6.0206
"""Decibels of half as loud samples."""


def _save_audio(node: Passage) -> None:
    named = node.inputs.get("format")
    form = _AUDIO_FORMATS.get(node.type, "flac") if named is None else str(node.literal("format"))
    if form not in ("flac", "wav"):
        node.tell(f"nodegraph does not write {form}: it writes Ogg Vorbis instead")
        form = "ogg"
    node.add("SaveAudio", audio=node.inputs["audio"], name=name_of(node), format=form)
    names = ("format", "format.quality", "quality")
    node.keep(**{name: node.inputs[name].content for name in names if name in node.inputs})
    node.give("audio", node.inputs["audio"])


def _save_audio_back(node: Passage) -> None:
    form = node.literal("format")
    audio, name = node.inputs["audio"], prefix_of(node)
    if form == "flac":
        node.add("SaveAudio", audio=audio, filename_prefix=name)
        return
    if form == "wav":
        node.tell("ComfyUI does not write WAV: it writes FLAC instead, which is also lossless")
        form = "flac"
    values = node.kept if "format" in node.kept else {"format": "opus" if form == "ogg" else form}
    node.add("SaveAudioAdvanced", audio=audio, filename_prefix=name, **values)


def _recorded(node: Passage) -> None:
    file = node.inputs["audio"]
    name = node.add("LoadAudio", path=file if file.is_link else FILES.ours(file.content))
    node.tell("nodegraph does not record: choose the file of a recording")
    node.give("AUDIO", MadeOutput(name, "audio"))


def _preview(node: Passage) -> None:
    node.add("SaveAudio", audio=node.inputs["audio"], name="preview")
    node.tell("nodegraph plays audio from its file: the preview is saved")
    node.give("audio", node.inputs["audio"])


def _trim(node: Passage) -> None:
    start = node.inputs["start_index"]
    if not start.is_link and start.content < 0:
        raise Untranslatable("nodegraph cannot cut audio from its end")
    name = node.add(
        "TrimAudio", audio=node.inputs["audio"], start=start, seconds=node.inputs["duration"]
    )
    node.give("AUDIO", MadeOutput(name, "audio"))


def _trim_back(node: Passage) -> None:
    seconds = node.inputs["seconds"]
    audio, start = node.inputs["audio"], node.inputs["start"]
    length = 1_000_000.0 if seconds.content == 0 else seconds
    name = node.add("TrimAudioDuration", audio=audio, start_index=start, duration=length)
    node.give("audio", MadeOutput(name, "AUDIO"))


def _join(node: Passage) -> None:
    first, last = node.inputs["audio1"], node.inputs["audio2"]
    if node.literal("direction") == "before":
        first, last = last, first
    name = node.add("JoinAudio", audios=first, last=last)
    node.give("AUDIO", MadeOutput(name, "audio"))


def _join_back(node: Passage) -> None:
    refuse_others(node, {"gap": 0.0})
    first, last = node.inputs["audios"], node.inputs["last"]
    name = node.add("AudioConcat", audio1=first, audio2=last, direction="after")
    node.give("audio", MadeOutput(name, "AUDIO"))


def _mix(node: Passage) -> None:
    method = node.literal("merge_method")
    if method not in ("add", "mean", "subtract"):
        raise Untranslatable(f"nodegraph cannot merge audio by `{method}`")
    if method == "subtract":
        raise Untranslatable("nodegraph cannot subtract one sound from another")
    name = node.add("MixAudio", audio=node.inputs["audio1"], other=node.inputs["audio2"])
    if method == "mean":
        name = node.add("AmplifyAudio", audio=MadeOutput(name, "audio"), decibels=_HALF)
    node.give("AUDIO", MadeOutput(name, "audio"))


def _mix_back(node: Passage) -> None:
    refuse_others(node, {"level": 1.0, "start": 0.0})
    first, second = node.inputs["audio"], node.inputs["other"]
    name = node.add("AudioMerge", audio1=first, audio2=second, merge_method="add")
    node.give("audio", MadeOutput(name, "AUDIO"))


AUDIO_ENTRIES: tuple[TableEntry, ...] = (
    same(
        'LoadAudio(audio: COMBO = "" @upload) -> AUDIO',
        "LoadAudio",
        {"audio": "path"},
        choices={"audio": FILES},
    ),
    entry('RecordAudio(audio: COMBO = "" @upload) -> AUDIO', _recorded),
    entry(f"SaveAudio({_PREFIX}) -> audio: AUDIO", _save_audio, "SaveAudio", _save_audio_back),
    entry(f'SaveAudioMP3({_PREFIX}, quality: COMBO = "V0") -> audio: AUDIO', _save_audio),
    entry(f'SaveAudioOpus({_PREFIX}, quality: COMBO = "128k") -> audio: AUDIO', _save_audio),
    entry(
        f'SaveAudioAdvanced({_PREFIX}, format: COMBO = "flac", '
        'format.quality: COMBO = "V0" @when(mp3|opus), quality: COMBO?) -> audio: AUDIO',
        _save_audio,
    ),
    entry("PreviewAudio(audio: AUDIO) -> audio: AUDIO", _preview),
    entry(
        "TrimAudioDuration(audio: AUDIO, start_index: FLOAT = 0.0, duration: FLOAT = 60.0) "
        "-> AUDIO",
        _trim,
        "TrimAudio",
        _trim_back,
    ),
    entry(
        'AudioConcat(audio1: AUDIO, audio2: AUDIO, direction: COMBO = "after") -> AUDIO',
        _join,
        "JoinAudio",
        _join_back,
    ),
    entry(
        'AudioMerge(audio1: AUDIO, audio2: AUDIO, merge_method: COMBO = "add") -> AUDIO',
        _mix,
        "MixAudio",
        _mix_back,
    ),
    same(
        "AudioAdjustVolume(audio: AUDIO, volume: INT = 1) -> AUDIO",
        "AmplifyAudio",
        {"volume": "decibels"},
    ),
)


_FORMATS = ("mp4", "webm", "mkv")


def _save(node: Passage) -> None:
    form = str(node.literal("format"))
    node.add(
        "SaveVideo",
        video=node.inputs["video"],
        name=name_of(node),
        format=form if form in _FORMATS else "mp4",
    )
    names = ("format", "format.codec", "codec")
    for codec in (node.inputs[name].content for name in names[1:] if name in node.inputs):
        if codec not in ("auto", "h264" if form in ("auto", "mp4") else "auto"):
            node.tell(f"nodegraph encodes videos with the usual codec of their format, not {codec}")
    node.keep(**{name: node.inputs[name].content for name in names if name in node.inputs})
    node.give("video", node.inputs["video"])


def _save_back(node: Passage) -> None:
    form = node.literal("format")
    kept = node.kept if node.kept.get("format", "auto") in ("auto", form) else {}
    values = {"format": form, "codec": "auto", **kept}
    video = node.inputs["video"]
    node.add("SaveVideo", video=video, filename_prefix=prefix_of(node), **values)


def _create(node: Passage) -> None:
    name = node.add(
        "VideoFromImages",
        images=node.inputs["images"],
        rate=node.inputs["fps"],
        audio=node.inputs.get("audio"),
    )
    kept = ("bit_depth", "color_space")
    node.keep(**{name: node.inputs[name].content for name in kept if name in node.inputs})
    node.give("VIDEO", MadeOutput(name, "video"))


def _create_back(node: Passage) -> None:
    audio = {"audio": node.inputs["audio"]} if "audio" in node.inputs else {}
    images, rate = node.inputs["images"], node.inputs["rate"]
    name = node.add("CreateVideo", images=images, fps=rate, **audio, **node.kept)
    node.give("video", MadeOutput(name, "VIDEO"))


def _parts(node: Passage) -> None:
    name = node.add("ImagesFromVideo", video=node.inputs["video"])
    for their, our in (("images", "image"), ("audio", "audio"), ("fps", "rate")):
        node.give(their, MadeOutput(name, our))
    node.give("bit_depth", Signal(8))
    node.give("color_space", Signal("sRGB"))


def _parts_back(node: Passage) -> None:
    name = node.add("GetVideoComponents", video=node.inputs["video"])
    for our, their in (("image", "images"), ("audio", "audio"), ("rate", "fps")):
        node.give(our, MadeOutput(name, their))


def _slice(node: Passage) -> None:
    video, start, length = (node.inputs[name] for name in ("video", "start_time", "duration"))
    node.keep(strict_duration=node.inputs["strict_duration"].content)
    if start.content == 0 and length.content == 0:
        node.give("VIDEO", video)
        return
    rate = MadeOutput(node.add("ImagesFromVideo", video=video), "rate")
    spans: dict[str, Any] = {
        port: compute_number(node, "a * b", lambda a, b: round(a * b), a=signal, b=rate)
        for port, signal in (("first", start), ("count", length))
        if signal.content != 0
    }
    node.give("VIDEO", MadeOutput(node.add("TrimVideo", video=video, **spans), "video"))


def _webm(node: Passage) -> None:
    video = node.add("VideoFromImages", images=node.inputs["images"], rate=node.inputs["fps"])
    node.add("SaveVideo", video=MadeOutput(video, "video"), name=name_of(node), format="webm")
    node.keep(codec=node.inputs["codec"].content, crf=node.inputs["crf"].content)


def _empty_sound(node: Passage) -> None:
    taken = {"frames": "frames_number", "rate": "frame_rate", "batch_size": "batch_size"}
    values = {our: node.inputs[their] for our, their in taken.items()}
    name = node.add("EmptyAudioLatent", **values)
    node.give("LATENT", MadeOutput(name, "latent"))


_MUSIC = {"tags": "tags", "lyrics": "lyrics", "bpm": "bpm", "seconds": "duration"} | {
    "time_signature": "timesignature",
    "language": "language",
    "key": "keyscale",
}
_CODES = ("seed", "generate_audio_codes", "cfg_scale", "temperature", "top_p", "top_k", "min_p")
"""Inputs of the language model that writes audio codes."""


def _music(node: Passage) -> None:
    codes = node.inputs["generate_audio_codes"]
    if codes.is_link or codes.content:
        node.tell(
            "nodegraph has no language model for audio codes: the music is generated from tags and "
            "lyrics without them"
        )
    node.keep(**{name: node.inputs[name].content for name in _CODES if name in node.inputs})
    values = {our: node.inputs[their] for our, their in _MUSIC.items()}
    name = node.add("EncodeMusicPrompt", encoder=node.inputs["clip"], **values)
    node.give("CONDITIONING", MadeOutput(name, "conditioning"))


def _first_music(node: Passage) -> None:
    """Of the first version of ACE-Step, whose models are refused where they are loaded."""
    strength = node.inputs["lyrics_strength"]
    if strength.is_link or strength.content != 1.0:
        node.tell("nodegraph has no strength of lyrics: they count fully")
    node.keep(lyrics_strength=strength.content)
    values = {name: node.inputs[name] for name in ("tags", "lyrics")}
    name = node.add("EncodeMusicPrompt", encoder=node.inputs["clip"], **values)
    node.give("CONDITIONING", MadeOutput(name, "conditioning"))


def _music_back(node: Passage) -> None:
    refuse_others(node, {"task": "text2music", "start": 0.0, "end": 0.0, "track": ""})
    if any(name in node.inputs for name in ("source", "reference")):
        raise Untranslatable("ComfyUI's node for music reads no audio")
    values = {their: node.inputs[our] for our, their in _MUSIC.items()}
    codes = {name: node.kept[name] for name in _CODES if name in node.kept}
    codes = codes or {"generate_audio_codes": False}
    made = node.add("TextEncodeAceStepAudio1.5", clip=node.inputs["encoder"], **values, **codes)
    node.give("conditioning", MadeOutput(made, "CONDITIONING"))


_SONG = {"caption": "caption", "lyrics": "lyrics", "seed": "seed"} | {
    "seconds": "max_duration",
    "cfg": "cfg_scale",
    "top_k": "top_k",
}


def _song(node: Passage) -> None:
    values = {our: node.inputs[their] for our, their in _SONG.items()}
    name = node.add("EncodeSongPrompt", encoder=node.inputs["clip"], **values)
    node.give("CONDITIONING", MadeOutput(name, "conditioning"))
    node.give("seconds", MadeOutput(name, "seconds"))


def _song_back(node: Passage) -> None:
    values = {their: node.inputs[our] for our, their in _SONG.items()}
    made = node.add("MiniMaxMusic3TextEncode", clip=node.inputs["encoder"], **values)
    node.give("conditioning", MadeOutput(made, "CONDITIONING"))
    node.give("seconds", MadeOutput(made, "seconds"))


_SOUND_TYPE = "type"
_SOUND_TYPES = {"VAEDecodeAudio": "LTXVAudioVAEDecode", "VAEEncodeAudio": "LTXVAudioVAEEncode"}
"""Nodes of any sound, and those of LTX-2 with the same effect."""


def _decode_sound(node: Passage) -> None:
    vae = "vae" if node.type == "VAEDecodeAudio" else "audio_vae"
    node.keep(**{_SOUND_TYPE: node.type})
    name = node.add("VAEDecodeAudio", latent=node.inputs["samples"], vae=node.inputs[vae])
    node.give("AUDIO", MadeOutput(name, "audio"))


def _decode_sound_back(node: Passage) -> None:
    kind = node.kept.get(_SOUND_TYPE, _SOUND_TYPES["VAEDecodeAudio"])
    vae = {"audio_vae" if kind.startswith("LTXV") else "vae": node.inputs["vae"]}
    tiles = {name: node.kept[name] for name in _TILES if kind == "VAEDecodeAudioTiled"}
    made = node.add(kind, samples=node.inputs["latent"], **vae, **tiles)
    node.give("audio", MadeOutput(made, "AUDIO"))


_TILES = ("tile_size", "overlap")


def _decode_sound_in_tiles(node: Passage) -> None:
    node.tell("nodegraph decodes the sound as a whole, without seams between tiles")
    node.keep(**{_SOUND_TYPE: node.type}, **{name: node.inputs[name].content for name in _TILES})
    name = node.add("VAEDecodeAudio", latent=node.inputs["samples"], vae=node.inputs["vae"])
    node.give("AUDIO", MadeOutput(name, "audio"))


def _encode_sound(node: Passage) -> None:
    vae = "vae" if node.type == "VAEEncodeAudio" else "audio_vae"
    node.keep(**{_SOUND_TYPE: node.type})
    name = node.add("VAEEncodeAudio", audio=node.inputs["audio"], vae=node.inputs[vae])
    node.give("LATENT", MadeOutput(name, "latent"))


def _encode_sound_back(node: Passage) -> None:
    kind = node.kept.get(_SOUND_TYPE, _SOUND_TYPES["VAEEncodeAudio"])
    vae = {"vae" if kind == "VAEEncodeAudio" else "audio_vae": node.inputs["vae"]}
    made = node.add(kind, audio=node.inputs["audio"], **vae)
    node.give("latent", MadeOutput(made, "LATENT"))


_LENGTH = ("seconds", "batch_size")


def _empty_music(node: Passage) -> None:
    """ComfyUI has one node for the models of Stable Audio; which one is known where they meet."""
    taken = {name: node.inputs[name] for name in _LENGTH}
    if node.type in _OF_FAMILY:
        taken["family"] = Signal(_OF_FAMILY[node.type])
    node.give("LATENT", MadeOutput(node.add("EmptyMusicLatent", **taken), "latent"))


_OF_FAMILY = {
    "EmptyLatentAudio": "stable-audio",
    "EmptyMiniMaxMusic3LatentAudio": "minimax-music3",
}


def _empty_music_back(node: Passage) -> None:
    kinds = {
        "ace-step": "EmptyAceStep1.5LatentAudio",
        "minimax-music3": "EmptyMiniMaxMusic3LatentAudio",
    }
    made = node.add(
        kinds.get(str(node.literal("family")), "EmptyLatentAudio"),
        **{name: node.inputs[name] for name in _LENGTH},
    )
    node.give("latent", MadeOutput(made, "LATENT"))


MUSIC_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        "EmptyAceStep1.5LatentAudio(seconds: FLOAT = 120.0, batch_size: INT = 1) -> LATENT",
        _empty_music,
        "EmptyMusicLatent",
        _empty_music_back,
    ),
    entry("EmptyLatentAudio(seconds: FLOAT = 47.6, batch_size: INT = 1) -> LATENT", _empty_music),
    entry(
        'TextEncodeAceStepAudio1.5(clip: CLIP, tags: STRING = "", lyrics: STRING = "", '
        "seed: INT = 0 @control, bpm: INT = 120, duration: FLOAT = 120.0, "
        'timesignature: COMBO = "4", language: COMBO = "en", keyscale: COMBO = "C major", '
        "generate_audio_codes: BOOLEAN = true, cfg_scale: FLOAT = 2.0, temperature: FLOAT = 0.85, "
        "top_p: FLOAT = 0.9, top_k: INT = 0, min_p: FLOAT = 0.0) -> CONDITIONING",
        _music,
        "EncodeMusicPrompt",
        _music_back,
    ),
    entry(
        'TextEncodeAceStepAudio(clip: CLIP, tags: STRING = "", lyrics: STRING = "", '
        "lyrics_strength: FLOAT = 1.0) -> CONDITIONING",
        _first_music,
    ),
    entry(
        'MiniMaxMusic3TextEncode(clip: CLIP, caption: STRING = "", lyrics: STRING = "", '
        "seed: INT = 0 @control, max_duration: FLOAT = 120.0, cfg_scale: FLOAT = 1.5, "
        "top_k: INT = 50) -> CONDITIONING, seconds: FLOAT",
        _song,
        "EncodeSongPrompt",
        _song_back,
    ),
    entry(
        "EmptyMiniMaxMusic3LatentAudio(seconds: FLOAT = 120.0, batch_size: INT = 1) -> LATENT",
        _empty_music,
    ),
    entry("VAEDecodeAudio(samples: LATENT, vae: VAE) -> AUDIO", _decode_sound),
    entry(
        "VAEDecodeAudioTiled(samples: LATENT, vae: VAE, tile_size: INT = 512, "
        "overlap: INT = 64) -> AUDIO",
        _decode_sound_in_tiles,
    ),
    entry("VAEEncodeAudio(audio: AUDIO, vae: VAE) -> LATENT", _encode_sound),
)


def _compressed_image(node: Passage) -> None:
    strength = node.inputs["img_compression"].content
    node.keep(img_compression=strength)
    if strength != 0:
        node.tell(f"nodegraph uses the image as it is, without an `img_compression` of {strength}")
    node.give("output_image", node.inputs["image"])


_AV_LATENTS = {"video_latent": "video", "audio_latent": "sound"}

SOUND_LATENT_ENTRIES: tuple[TableEntry, ...] = (
    same(
        "LTXVConcatAVLatent(video_latent: LATENT, audio_latent: LATENT) -> latent: LATENT",
        "CombineSoundLatent",
        _AV_LATENTS,
    ),
    same(
        "LTXVSeparateAVLatent(av_latent: LATENT) -> video_latent: LATENT, audio_latent: LATENT",
        "SplitSoundLatent",
        {"av_latent": "latent"},
        _AV_LATENTS,
    ),
    entry(
        "LTXVAudioVAEDecode(samples: LATENT, audio_vae: VAE) -> AUDIO",
        _decode_sound,
        "VAEDecodeAudio",
        _decode_sound_back,
    ),
    entry(
        "LTXVAudioVAEEncode(audio: AUDIO, audio_vae: VAE) -> LATENT",
        _encode_sound,
        "VAEEncodeAudio",
        _encode_sound_back,
    ),
    same(
        "LTXVLatentUpsampler(samples: LATENT, upscale_model: LATENT_UPSCALE_MODEL, vae: VAE)"
        " -> LATENT",
        "UpscaleLatent",
        {"samples": "latent", "upscale_model": "model"},
    ),
    entry(
        "LTXVPreprocess(image: IMAGE, img_compression: INT = 35) -> output_image: IMAGE",
        _compressed_image,
    ),
    entry(
        "LTXVEmptyLatentAudio(frames_number: INT = 97, frame_rate: FLOAT = 25.0, "
        "batch_size: INT = 1, audio_vae: VAE) -> LATENT",
        _empty_sound,
    ),
)


_CODECS = {"h264": "mp4", "h265": "mp4", "webm": "webm"}
_ANIMATIONS = {"image/gif": "gif", "image/webp": "webp"}


def _combine_video(node: Passage) -> None:
    form, images = str(node.literal("format")), node.inputs["images"]
    if node.inputs["pingpong"].content is True:
        node.tell("nodegraph does not repeat images in reverse order: use ReorderList for this")
    names = ("loop_count", "pingpong", "save_output", "format")
    node.keep(
        **{name: node.inputs[name].content for name in names if not node.inputs[name].is_link}
    )
    rate: Any = node.inputs["frame_rate"]
    if form in _ANIMATIONS:
        taken = {"name": name_of(node), "format": _ANIMATIONS[form]}
        node.add("SaveAnimation", image=images, rate=rate, **taken)
        return
    kind = next((ours for theirs, ours in _CODECS.items() if theirs in form), "mp4")
    made = node.add("VideoFromImages", images=images, rate=rate, audio=node.inputs.get("audio"))
    node.add("SaveVideo", video=MadeOutput(made, "video"), name=name_of(node), format=kind)


def _load_pack_video(node: Passage) -> None:
    file = node.inputs["video"]
    taken = {
        "first": "skip_first_frames",
        "count": "frame_load_cap",
        "every": "select_every_nth",
        "rate": "force_rate",
    }
    name = node.add(
        "LoadVideo",
        path=file if file.is_link else FILES.ours(file.content),
        **{our: node.inputs[their] for our, their in taken.items()},
    )
    parts = node.add("ImagesFromVideo", video=MadeOutput(name, "video"))
    image = MadeOutput(parts, "image")
    size = {side: node.inputs[f"custom_{side}"] for side in ("width", "height")}
    if any(signal.content for signal in size.values()):
        image = MadeOutput(node.add("ResizeImage", image=image, **size), "image")
    node.give("IMAGE", image)
    node.give("audio", MadeOutput(parts, "audio"))
    node.give("frame_count", MadeOutput(node.add("ImageSize", image=image), "batch"))


PACK_VIDEO_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        "VHS_VideoCombine(images: IMAGE, audio: AUDIO?, meta_batch: VHS_BATCH?, vae: VAE?, "
        "frame_rate: FLOAT = 8.0, loop_count: INT = 0, "
        'filename_prefix: STRING = "AnimateDiff", format: COMBO = "image/gif", '
        "pingpong: BOOLEAN = false, save_output: BOOLEAN = true) -> Filenames: VHS_FILENAMES",
        _combine_video,
    ),
    entry(
        'VHS_LoadVideo(video: COMBO = "" @upload, force_rate: FLOAT = 0.0, '
        "custom_width: INT = 0, custom_height: INT = 0, frame_load_cap: INT = 0, "
        "skip_first_frames: INT = 0, select_every_nth: INT = 1, meta_batch: VHS_BATCH?, "
        "vae: VAE?) -> IMAGE, frame_count: INT, audio: AUDIO, video_info: VHS_VIDEOINFO",
        _load_pack_video,
    ),
)

ENTRIES: tuple[TableEntry, ...] = (
    same(
        'LoadVideo(file: COMBO = "" @upload) -> VIDEO',
        "LoadVideo",
        {"file": "path"},
        choices={"file": FILES},
    ),
    entry(
        'SaveVideo(video: VIDEO, filename_prefix: STRING = "video/ComfyUI", '
        'format: COMBO = "auto", format.codec: COMBO = "auto" @when(auto|mp4|mkv|webm), '
        'codec: COMBO = "auto") -> video: VIDEO',
        _save,
        "SaveVideo",
        _save_back,
    ),
    entry(
        "CreateVideo(images: IMAGE, audio: AUDIO?, fps: FLOAT = 30.0, bit_depth: COMBO?, "
        "color_space: COMBO?) -> VIDEO",
        _create,
        "VideoFromImages",
        _create_back,
    ),
    entry(
        "GetVideoComponents(video: VIDEO) -> images: IMAGE, audio: AUDIO, fps: FLOAT, "
        "bit_depth: INT, color_space: COMBO",
        _parts,
        "ImagesFromVideo",
        _parts_back,
    ),
    same(
        "FrameInterpolate(interp_model: INTERP_MODEL, images: IMAGE, multiplier: INT = 2, "
        "torch_compile: BOOLEAN = false) -> IMAGE",
        "InterpolateFrames",
        {"interp_model": "model", "images": "image"},
        kept=("torch_compile",),
    ),
    entry(
        "Video Slice(video: VIDEO, start_time: FLOAT = 0.0, duration: FLOAT = 0.0, "
        "strict_duration: BOOLEAN = false) -> VIDEO",
        _slice,
    ),
    entry(
        'SaveWEBM(images: IMAGE, filename_prefix: STRING = "ComfyUI", codec: COMBO = "vp9", '
        "fps: FLOAT = 24.0, crf: FLOAT = 32.0)",
        _webm,
    ),
    *SOUND_LATENT_ENTRIES,
    *MUSIC_ENTRIES,
    *AUDIO_ENTRIES,
    *PACK_VIDEO_ENTRIES,
)
