"""Stage: photos from outside -> what a trained model says of them."""
