"""The models of this installation: which are there, which one runs, and the loaded engine."""
