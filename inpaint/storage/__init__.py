"""People's files: reading pictures safely and writing results atomically. Knows no models and no page."""
