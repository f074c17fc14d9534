"""`repro sweep`: search the settings of a paper by grid, at random or by TPE, with several processes."""
