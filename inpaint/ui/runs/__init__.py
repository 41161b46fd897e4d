"""How a page follows a run: who started it, what is open, and how progress is shown."""
