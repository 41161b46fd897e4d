"""A run as a page follows it: who asks, what is open, how progress is shown."""
