"""`repro explain`: find the protocol error that explains a reported accuracy.

search.py: the runs and the order of the questions. credit.py: rules (i) to (iii), statistics alone. stated.py, with
lineage.py: rule (iv), what the paper says. evidence.py: steps, curves, estimates, other reasons. hypotheses.py and
conclusion.py: figures to words. The rules in plain English: docs/explain.md.
"""
