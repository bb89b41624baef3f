"""Every pipeline of the installed diffusers: its signature and how to run it."""
