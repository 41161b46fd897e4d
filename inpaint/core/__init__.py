"""Pure code: geometry, masks, regions, compositing, requests. Knows no files, no torch, no gradio, no clock."""
