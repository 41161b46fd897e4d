"""The mask, its operations, and what makes a mask that was handed in doubtful."""
