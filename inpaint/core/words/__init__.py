"""Prompts as text, and how a model with a small vocabulary reads them."""
