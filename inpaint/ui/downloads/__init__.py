"""The page's downloads of models: the line with its button, and the download that it starts."""
