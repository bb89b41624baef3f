"""Text generation with language models, local ones and those of servers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from nodegraph import (
    Advanced,
    Audio,
    Choices,
    Context,
    Expand,
    File,
    Image,
    InvalidValue,
    Multiline,
    PromptText,
    Range,
    Secret,
    Seed,
    TextEncoder,
    Value,
    node,
)
from nodegraph.core.values import PipelineComponent
from nodegraph.models.model_files import computed_dtype
from nodegraph.models.model_recipes import DTYPES
from nodegraph.perception.language_model import LanguageModel

from ._facts import log_precision
from ._language_facts import (
    check_connection,
    check_language_model,
    check_schema,
    language_state,
    language_weights,
)
from ._memory import prompt_estimate
from ._prompt_enhancement import enhancement_instructions, join_syntax, split_syntax
from ._prompt_facts import check_writing


@node(
    category="models",
    lane="io",
    validate=check_language_model,
    fingerprint=language_state,
    estimate=language_weights,
    tags=("LLM", "transformers", "qwen", "gemma", "llama", "mistral", "load", "chat"),
)
def LoadLanguageModel(
    ctx: Context,
    model: Annotated[str, File("model")],
    dtype: Annotated[str, Choices(DTYPES)] = "auto",
) -> LanguageModel:
    """Load a language model for GenerateText: any model that transformers supports.

    Args:
        model: Name in a models folder, for example language/qwen3-4b: a folder as transformers
            saves it, or a file of Gemma 4 or Qwen 3.5 for ComfyUI. Custom code in the folder is not
            run.
        dtype: Precision in memory, as for LoadModel.
    """
    from nodegraph.perception.language_model import open_language_model

    environment = ctx.environment
    language_model = open_language_model(
        model,
        environment.models,
        dtype=computed_dtype(dtype, environment.device),
        device=environment.device,
        allow_pickle=environment.allow_pickle,
    )
    assert isinstance(language_model.model, PipelineComponent)
    log_precision(ctx, dtype, language_model.model)
    return language_model


@node(
    category="models",
    lane="io",
    validate=check_connection,
    tags=(
        *("LLM", "OpenAI", "Ollama", "API", "chat", "hosted", "server", "vLLM", "llama.cpp"),
        *("LM Studio", "OpenRouter", "VLM", "remote"),
    ),
)
def ConnectLanguageModel(
    kind: Literal["ollama", "openai"] = "ollama",
    model: str = "qwen3:4b",
    address: str = "",
    secret: Annotated[str, Secret()] = "",
    options: Annotated[str, Multiline(), Advanced()] = "",
) -> LanguageModel:
    """Connect a language model on a server: Ollama, OpenAI, or a server that speaks as OpenAI does.

    Use it wherever a node takes a language model. Only hosts that the setting service_hosts allows
    are called.

    Args:
        kind: Protocol of the server: Ollama, or OpenAI's chat completions, which vLLM, llama.cpp,
            LM Studio, OpenRouter and others speak.
        model: Name of the model on the server.
        address: Base address of the server. Empty for Ollama on this machine, or for OpenAI.
        secret: Name of the stored secret with the key. Never write the key itself.
        options: Further fields of requests as JSON, for example {"top_k": 20}. null removes a
            field.
    """
    from nodegraph.perception.language_model import (
        DEFAULT_ADDRESSES,
        HostedModel,
        parse_request_options,
    )

    parse_request_options(options)
    base = (address.strip() or DEFAULT_ADDRESSES[kind]).rstrip("/")
    return LanguageModel(HostedModel(kind, base, model.strip(), secret.strip(), options.strip()))


@node(
    category="text",
    lane="io",
    validate=check_schema,
    tags=("LLM", "chat", "OpenAI", "Ollama", "VLM", "JSON", "structured output"),
)
def GenerateHostedText(
    ctx: Context,
    model: LanguageModel,
    prompt: Annotated[str, PromptText()] = "",
    images: list[Image] | None = None,
    system: Annotated[str, PromptText()] = "",
    max_tokens: Annotated[int, Range(1, 32768)] = 512,
    sampling: bool = True,
    seed: Annotated[int, Seed()] = 0,
    schema: Annotated[str, Multiline()] = "",
    temperature: Annotated[float, Range(0.01, 10, step=0.05), Advanced()] = 0.7,
    top_k: Annotated[int, Range(0, 1000), Advanced()] = 64,
    top_p: Annotated[float, Range(0.01, 1, step=0.01), Advanced()] = 0.95,
    min_p: Annotated[float, Range(0, 1, step=0.01), Advanced()] = 0.05,
    repetition_penalty: Annotated[float, Range(0.01, 10, step=0.01), Advanced()] = 1.05,
    presence_penalty: Annotated[float, Range(0, 5, step=0.1), Advanced()] = 0.0,
    thinking: Annotated[bool, Advanced()] = False,
    chat: Annotated[bool, Advanced()] = True,
    timeout: Annotated[float, Range(1, 86400), Advanced()] = 600.0,
) -> str:
    """Generate text with a language model on a server. The text is shown while it comes.

    GenerateText uses this node for models on servers. Equal inputs are answered from the cache.

    Args:
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
        min_p: Leave out tokens whose probability is below this share of the highest one. For
            Ollama.
        repetition_penalty: Penalty on tokens that already occur. 1 is none. For Ollama.
        presence_penalty: Constant penalty on tokens that already occur in the answer. 0 is none.
        thinking: Let the model think first. The answer does not include these thoughts.
        chat: Must be on. Servers apply the chat template of the model.
        timeout: Time limit in seconds.
    """
    from nodegraph.models.language.text_generation import Question
    from nodegraph.models.language.token_sampling import TokenSampling
    from nodegraph.perception.language_answers import hosted_answer, parse_schema

    if model.hosted is None:
        raise InvalidValue(
            "this language model is not on a server",
            port="model",
            expected="a model of ConnectLanguageModel",
            hint="Use GenerateText.",
        )
    pictures = [picture[..., :3] for image in images or () for picture in image]
    drawing = TokenSampling(
        temperature, top_k, top_p, min_p, repetition_penalty, presence_penalty, seed
    )
    return hosted_answer(
        ctx,
        model.hosted,
        Question(prompt, system, pictures, is_chat=chat, thinks=thinking),
        max_new_tokens=max_tokens,
        sampling=drawing if sampling else None,
        schema=parse_schema(schema),
        seconds=timeout,
    )


@node(
    category="text",
    lane="gpu",
    numerics=True,
    validate=check_writing,
    estimate=prompt_estimate,
    tags=(
        *("TextGenerate", "LLM", "language model", "chat", "caption", "describe", "enhance prompt"),
        *("prompt upsampling", "expand prompt", "VLM", "qwen", "gemma", "llama", "ollama"),
        *("transcribe", "speech"),
    ),
)
def GenerateText(
    ctx: Context,
    encoder: TextEncoder | LanguageModel,
    prompt: Annotated[str, PromptText()] = "",
    images: list[Image] | None = None,
    system: Annotated[str, PromptText()] = "",
    max_tokens: Annotated[int, Range(1, 32768)] = 512,
    sampling: bool = True,
    seed: Annotated[int, Seed()] = 0,
    temperature: Annotated[float, Range(0.01, 10, step=0.05), Advanced()] = 0.7,
    top_k: Annotated[int, Range(0, 1000), Advanced()] = 64,
    top_p: Annotated[float, Range(0.01, 1, step=0.01), Advanced()] = 0.95,
    min_p: Annotated[float, Range(0, 1, step=0.01), Advanced()] = 0.05,
    repetition_penalty: Annotated[float, Range(0.01, 10, step=0.01), Advanced()] = 1.05,
    presence_penalty: Annotated[float, Range(0, 5, step=0.1), Advanced()] = 0.0,
    thinking: Annotated[bool, Advanced()] = False,
    chat: Annotated[bool, Advanced()] = True,
    schema: Annotated[str, Multiline(), Advanced()] = "",
    audio: Audio | None = None,
) -> str:
    """Generate text with a language model: an answer, a better prompt, or an image description.

    Use it with LoadLanguageModel, or with ConnectLanguageModel for a model on a server. These text
    encoders work too if their file includes the language model head: those of Qwen-Image,
    Qwen-Image 2.1, Krea 2, Ovis-Image, LongCat-Image, ERNIE-Image, Ideogram 4, Anima and Z-Image.
    So do those of Bria FIBO 2, JoyImage Edit, Flux.2, Flux.3 Klein, Lumina 2, Sana, HiDream,
    HunyuanImage and LTX-2.

    Args:
        encoder: A text encoder with a language model head, or a language model.
        prompt: The prompt for the language model.
        images: Images for the model to look at, for Qwen 2.5-VL, Qwen3-VL, Qwen3.5, Gemma 4 and
            models on servers. A batch counts as several images.
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
        thinking: Let the model think first, as Qwen 3 can. The answer does not include these
            thoughts.
        chat: Apply the chat template of the model to the prompt. If off, the model continues the
            text. Models on servers always apply it.
        schema: JSON Schema that the answer follows, for models on servers.
        audio: Audio for the model to listen to, for Gemma 4 E2B and E4B of LoadLanguageModel. They
            hear 30 seconds.
    """
    if isinstance(encoder, LanguageModel) and encoder.hosted is not None and audio is not None:
        raise InvalidValue(
            "models on servers take no audio here",
            port="audio",
            expected="Gemma 4 E2B or E4B of LoadLanguageModel",
        )
    if isinstance(encoder, LanguageModel) and encoder.hosted is not None:
        inputs = {
            "model": Value(encoder),
            "prompt": prompt,
            "images": Value(list(images or ())),
            "system": system,
            "max_tokens": max_tokens,
            "sampling": sampling,
            "seed": seed,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "min_p": min_p,
            "repetition_penalty": repetition_penalty,
            "presence_penalty": presence_penalty,
            "thinking": thinking,
            "chat": chat,
            "schema": schema,
        }
        # It waits for a server, so it must not occupy the compute device.
        return Expand({"ask": {"type": "GenerateHostedText", "inputs": inputs}}, {"text": "ask"})
    if schema.strip():
        raise InvalidValue(
            "a local language model cannot follow a JSON Schema",
            port="schema",
            expected="a model of ConnectLanguageModel",
        )
    from nodegraph.models.language.text_generation import Question, generate_answer
    from nodegraph.models.language.token_sampling import TokenSampling
    from nodegraph.perception.language_answers import answer

    pictures = [picture[..., :3] for image in images or () for picture in image]
    question = Question(prompt, system, pictures, is_chat=chat, thinks=thinking, audio=audio)
    drawing = TokenSampling(
        temperature, top_k, top_p, min_p, repetition_penalty, presence_penalty, seed
    )
    how: dict[str, Any] = {
        "max_new_tokens": max_tokens,
        "sampling": drawing if sampling else None,
        "on_token": lambda done: ctx.progress(done, max_tokens),
    }
    if isinstance(encoder, LanguageModel):
        return answer(ctx, encoder, question, **how)
    with ctx.weights(encoder) as text_model:
        return generate_answer(text_model, encoder, question, **how)


@node(
    category="text",
    label="Caption for layers",
    lane="gpu",
    numerics=True,
    validate=check_writing,
    estimate=prompt_estimate,
    tags=("Qwen-Image-Layered", "describe", "caption", "image to text", "use_en_prompt"),
)
def CaptionForLayers(
    ctx: Context,
    encoder: TextEncoder,
    image: Image,
    language: Literal["en", "zh"] = "en",
    max_tokens: Annotated[int, Range(1, 32768), Advanced()] = 512,
) -> str:
    """Describe an image as the prompts of Qwen-Image-Layered do.

    The pipeline of diffusers does this where the prompt is empty. Link the text to EncodePrompt.
    The most likely words are used, so the text has no seed.

    Args:
        encoder: The text encoder of Qwen-Image-Layered, with its language model head.
        image: The image that is split into layers. Alpha is ignored.
        language: Language of the question, and usually of the description: English or Chinese.
        max_tokens: Maximum number of tokens of the description.
    """
    from nodegraph.families.qwen_image_layered import CAPTION_QUESTIONS, CAPTION_SYSTEM
    from nodegraph.models.language.text_generation import Question, generate_answer

    if len(image) > 1:
        raise InvalidValue(
            "one image is described at a time",
            port="image",
            given=f"{len(image)} images",
            hint="Select one with ImageFromBatch.",
        )
    question = Question(
        CAPTION_QUESTIONS[language],
        CAPTION_SYSTEM,
        [image[0, ..., :3]],
        is_text_first=True,
    )
    with ctx.weights(encoder) as text_model:
        return generate_answer(
            text_model,
            encoder,
            question,
            max_new_tokens=max_tokens,
            sampling=None,
            on_token=lambda done: ctx.progress(done, max_tokens),
        )


@node(
    category="text",
    validate=check_writing,
    tags=(
        *("prompt upsampling", "expand prompt", "improve prompt", "magic prompt", "LLM"),
        *("prompt generator", "rewrite"),
    ),
)
def EnhancePrompt(
    model: LanguageModel | TextEncoder,
    prompt: Annotated[str, PromptText()],
    style: Literal["detailed", "photo", "tags", "short", "video"] = "detailed",
    instructions: Annotated[str, PromptText()] = "",
    images: list[Image] | None = None,
    seed: Annotated[int, Seed()] = 0,
    temperature: Annotated[float, Range(0.01, 10, step=0.05), Advanced()] = 0.7,
    max_tokens: Annotated[int, Range(16, 4096), Advanced()] = 300,
) -> str:
    """Rewrite a short prompt into a better one, with a language model.

    LoRAs, embeddings and wildcards of the prompt are kept: the model does not see them, and they
    follow the new text. The model sees weighted text, such as (cat:1.2), without weights.

    Args:
        model: From LoadLanguageModel or ConnectLanguageModel, or a text encoder that can write.
        prompt: The short prompt.
        style: Sentences with details, a description of a photo, comma-separated tags, one
            sentence, or a shot of a video.
        instructions: Further instructions for the model, for example: keep the colors.
        images: Images for the model to look at, if it can.
        seed: Seed of the sampling. Another seed gives another text.
        temperature: Low values stay closer to usual wording.
        max_tokens: Maximum number of tokens of the new prompt.
    """
    text, kept = split_syntax(prompt)
    inputs = {
        "encoder": Value(model),
        "prompt": text,
        "images": Value(list(images or ())),
        "system": enhancement_instructions(style, instructions),
        "seed": seed,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }
    return Expand(
        {"write": {"type": "GenerateText", "inputs": inputs}},
        {"text": "write"},
        then=lambda written: join_syntax(written["text"].value, text, kept),
    )
