"""Trains Kandinsky Mini, the small model in models/kandinsky-mini.

Runs by hand (`python -m training.movq` and so on); the app never imports it."""
