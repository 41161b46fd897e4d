"""Engines around diffusers' own pipelines."""
