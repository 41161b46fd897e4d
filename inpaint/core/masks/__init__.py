"""The mask, its operations, and the checks that find masks which were probably given by mistake."""
