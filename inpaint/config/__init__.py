"""Settings and model files: TOML, environment variables and flags, read into frozen values."""
