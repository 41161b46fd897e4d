"""The HTTP contract, and the code that serves the page."""
