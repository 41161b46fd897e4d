"""Kandinsky 2.2: prior, decoders, and the engine that joins them."""
