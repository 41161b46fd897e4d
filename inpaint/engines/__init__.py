"""The engines that run models. Only this package imports torch and diffusers, and only when an engine is first used."""
