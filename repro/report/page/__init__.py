"""``repro report --html``: the generated documents, the specs and the runs on one page. ``document.py`` assembles the
page. Importing this package without its dependencies raises PageError."""

from fer_jax.vocabulary.errors import UserError


class PageError(UserError):
    """The page cannot be made: a package is missing. The message says how to fix it."""


try:
    import jinja2  # noqa: F401  # with MarkupSafe
except ModuleNotFoundError as error:
    raise PageError(f"the HTML page needs {error.name}: pip install 'fer-repro[report]'") from None
