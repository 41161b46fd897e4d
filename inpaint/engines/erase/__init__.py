"""Engines that remove what is under the mask, without a prompt."""
