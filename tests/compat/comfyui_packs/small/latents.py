"""Latents as dictionaries."""

import torch


class SizedLatent:
    @classmethod
    def INPUT_TYPES(s):
        return {
            "required": {
                "width": ("INT", {"default": 64, "min": 16, "max": 8192, "step": 8}),
            }
        }

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "generate"
    CATEGORY = "latent"

    def generate(self, width):
        return ({"samples": torch.zeros([1, 4, width // 8, width // 8])},)


class LatentStats:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"samples": ("LATENT",)}}

    RETURN_TYPES = ("STRING", "LATENT")
    FUNCTION = "run"

    def run(self, samples):
        s = samples.copy()
        s["samples"] = s["samples"] * 2
        return str(tuple(samples["samples"].shape)), s


NODE_CLASS_MAPPINGS = {"SizedLatent": SizedLatent, "LatentStats": LatentStats}
