"""From graph to plan: checks, types, fingerprint, and arguments assembled from outcomes. No Redis in sight."""
