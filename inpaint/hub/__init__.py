"""Model files: what is fetched, where it lies, and that it stays what it was."""
