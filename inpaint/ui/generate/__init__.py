"""The Generate tab: its layout, the chain of its pictures, and the handlers of its events."""
