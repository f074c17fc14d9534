"""Programs that measure what docs/measurements.md says of face recognition. No command calls them."""
