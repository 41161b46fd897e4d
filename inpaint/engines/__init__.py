"""The models. The only room that imports torch or diffusers, and each engine does so on first use."""
