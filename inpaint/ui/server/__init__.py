"""The HTTP contract, and how the page is served."""
