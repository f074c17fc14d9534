"""Leakage audits: compare training and evaluation samples of a paper's protocols, and find errors of a dataset."""
