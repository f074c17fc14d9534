"""`repro bench`: how fast this suite trains and predicts beside other frameworks, on the same machine and samples."""
