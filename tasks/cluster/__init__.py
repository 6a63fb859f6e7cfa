"""Work spread over a Ray cluster: blocks of rows, done by actors that stay, of which small results come back."""
