"""The Edit tab: its layout, and the handlers of its events."""
