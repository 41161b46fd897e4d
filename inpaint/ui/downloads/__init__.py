"""The line under a model that is not on disk, and the download it starts."""
