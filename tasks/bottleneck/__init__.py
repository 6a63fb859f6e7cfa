"""Stage: decoded photos -> one vector a photo and view."""
