"""Stage: head -> metrics and predictions."""
