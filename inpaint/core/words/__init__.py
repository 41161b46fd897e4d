"""Prompts as text, and what a model with a small vocabulary takes from them."""
