"""Models that lie in a bucket or a mounted folder until somebody needs them."""
