"""Pure code: geometry, masks, regions, compositing and requests. It imports no files, no torch, no gradio and no clock."""
