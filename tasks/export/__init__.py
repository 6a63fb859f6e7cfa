"""Stage: trained model -> files for other programs."""
