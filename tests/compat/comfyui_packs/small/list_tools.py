"""Lists and batches."""

import torch


class BatchToList:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"image": ("IMAGE",)}}

    RETURN_TYPES = ("IMAGE",)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "doit"

    def doit(self, image):
        return ([image[i : i + 1, ...] for i in range(image.shape[0])],)


class ListToBatch:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"images": ("IMAGE",)}}

    INPUT_IS_LIST = True
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "doit"

    def doit(self, images):
        return (torch.cat(images, dim=0),)


class Split:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"text": ("STRING", {"default": "a,b"})}}

    RETURN_TYPES = ("STRING", "INT")
    OUTPUT_IS_LIST = (True, False)
    FUNCTION = "doit"

    def doit(self, text):
        parts = text.split(",")
        return parts, len(parts)


NODE_CLASS_MAPPINGS = {"BatchToList": BatchToList, "ListToBatch": ListToBatch, "SplitText": Split}
