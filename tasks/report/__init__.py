"""Stage: a run's results -> a report that a person reads, and the index of all reports."""
