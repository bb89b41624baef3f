"""Train LoRAs, whole networks, textual inversions and control networks from datasets.

`loop` is the one training loop, `denoising` what a denoiser is taught by, `lora_training` and
those beside it what is taught. docs/training.md tells how to use it.
"""
