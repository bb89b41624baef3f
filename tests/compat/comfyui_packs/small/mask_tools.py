"""Masks, also of two dimensions as some packs have them."""

import torch


class MaskFromColor:
    @classmethod
    def INPUT_TYPES(s):
        return {
            "required": {
                "image": ("IMAGE",),
                "red": ("INT", {"default": 255, "min": 0, "max": 255, "display": "color"}),
            }
        }

    RETURN_TYPES = ("MASK", "IMAGE")
    FUNCTION = "run"

    def run(self, image, red):
        mask = (image[..., 0] * 255 - red).abs() < 1
        return mask.float(), image


class FlatMask:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"mask": ("MASK",), "invert": ("BOOLEAN", {"default": False})}}

    RETURN_TYPES = ("MASK",)
    FUNCTION = "run"

    def run(self, mask, invert):
        flat = mask[0] if mask.ndim == 3 else mask
        return (1 - flat if invert else torch.clamp(flat, 0, 1),)


NODE_CLASS_MAPPINGS = {"MaskFromColor": MaskFromColor, "FlatMask": FlatMask}
