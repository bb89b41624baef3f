"""A GAN and a VAE on pictures of the embedded model's kind, to stand beside diffusion."""
