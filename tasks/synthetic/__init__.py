"""Drawn photos of flowers: stems, leaves and heads before a background, in varied light."""
