"""Making the embedded text-to-image model: scenes, autoencoder, denoiser, export, judgement.

Every module with a ``main`` is a command::

    python -m training.<name> --config training/configs/tiny.toml --work DIR

in the order ``scenes``, ``tokenizer``, ``vae``, ``latents``, ``unet``, ``classifier``,
``export``, ``evaluate``; ``all`` runs the whole and picks up where it was interrupted.
"""
