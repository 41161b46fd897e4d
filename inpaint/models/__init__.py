"""The models of this installation: their families, which are on this disk, and which one runs."""
