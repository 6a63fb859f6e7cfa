"""Stage: new photos -> predictions of a trained model."""
