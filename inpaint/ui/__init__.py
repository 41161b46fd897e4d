"""The web page. Only this room imports gradio."""
