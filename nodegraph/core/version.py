"""The version of nodegraph, in one place."""

VERSION = "0.1.0"
