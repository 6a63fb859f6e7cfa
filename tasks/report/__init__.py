"""Report stage: one HTML file that shows a run's data, results, photos, map of bottlenecks and provenance."""
