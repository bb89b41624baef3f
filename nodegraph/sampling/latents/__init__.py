"""What is done to latents besides sampling and coding: moving, scaling, joining, keeping."""
