"""Runs on disk: images with their tables and sidecars, found and written by BIDS names."""
