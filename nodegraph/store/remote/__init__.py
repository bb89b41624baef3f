"""A tier behind the store that several machines share: a folder, or a bucket of an object store."""
