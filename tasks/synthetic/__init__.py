"""Draws the photos of `sample`: flowers with their stems and leaves, in front of something, in some light."""
