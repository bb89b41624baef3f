"""Model families: which architectures are supported, and how to tell what files hold."""
