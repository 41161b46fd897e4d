"""People's files: reads pictures safely and writes results atomically. Knows no models and no page."""
