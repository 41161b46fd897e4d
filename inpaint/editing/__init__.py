"""Runs one edit, from its plan to its finished picture. Knows no page, no queue and no file."""
