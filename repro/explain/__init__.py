"""`repro explain`: which fault lifts an honest figure to the reported one. Each suspect is a protocol of its own."""
