"""Stage: head -> metrics, predictions, figures, report."""
