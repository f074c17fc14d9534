"""The splits of a protocol as files for other programs: which images train and test, and why one is left out."""
