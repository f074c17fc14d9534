"""Numbers, tables and documents: a model of what is shown, and its renderers for Markdown, terminal, CSV and JSON."""
