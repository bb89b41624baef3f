"""Every pipeline of the installed diffusers: what it takes and gives, and how it is run."""
