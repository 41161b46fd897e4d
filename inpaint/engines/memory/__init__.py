"""Memory: how much there is, which parts of which models take it, and what is done when it runs short."""
