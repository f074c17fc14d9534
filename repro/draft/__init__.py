"""`repro new`: a commented spec to begin with, with the layers of a model that is there already."""
