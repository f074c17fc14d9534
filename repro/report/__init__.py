"""The tables and pages computed from the records and the specs; ``folder.py`` puts them together."""
