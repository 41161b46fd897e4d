"""The stage: the editor in which a person paints the mask, a gr.HTML component of this app."""
