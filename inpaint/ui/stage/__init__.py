"""The stage: the sketch-mask editor, a gr.HTML component of our own."""
