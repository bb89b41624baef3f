"""IP-Adapters: what images show leads a model, beside its prompts. Imports no torch.

Source: Ye et al. 2023, arXiv:2308.06721.
"""
