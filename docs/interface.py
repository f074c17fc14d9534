"""The page docs/python.md: the names of `import repro`, from their signatures and docstrings. Reads files alone."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START = """\
# In Python

For notebooks and scripts: `import repro`. Each name calls what the commands call. In a notebook results appear as
tables and plots, `to_frame()` gives a pandas data frame, and runs show a progress bar
(`pip install 'fer-repro[notebook]'`). What cannot be done raises
`fer_jax.vocabulary.errors.UserError` with one sentence that names the place and the remedy.

```python
import repro

repro.paper("teta2022").forensics()  # no data needed
data = repro.load_data("fer2013.csv")
repro.audit_split(data, "Training", "PrivateTest")  # which test images are also in training?
repro.audit_arrays(x_train, x_test)  # the same for any uint8 images
repro.evaluate("network.onnx", data, claim="66%")  # a network or predictions from elsewhere
runs = repro.run("teta2022", protocol="clean", seeds=3, data="fer2013.csv")
runs.to_frame(), runs.plot_learning(), runs.confusion()
repro.load_model().predict(faces)  # probabilities of seven emotions, by the network that comes with the suite
repro.verdict(claim="61 %", values=[0.572, 0.551, 0.589])  # does a number reproduce?
```"""


def page() -> str:
    """The page below its first line."""
    stub = ast.parse((ROOT / "repro" / "__init__.pyi").read_text(encoding="utf-8"))
    where = {
        alias.name: str(node.module) for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    parts, results = [START], dict[str, ast.ClassDef]()
    for name, module in sorted(where.items()):
        top = {node.name: node for node in _tree(module).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        function = top[name]
        assert isinstance(function, ast.FunctionDef), f"repro.{name} is no function"
        parts += _function(f"repro.{name}", function, "##")
        returned = top.get(ast.unparse(function.returns)) if function.returns else None
        results |= {
            one.name: one
            for one in (returned, *top.values())
            if isinstance(one, ast.ClassDef) and any(ast.unparse(base) == "Shown" for base in one.bases)
        }
    results["Plot"] = next(n for n in _tree("repro.api.shown").body if isinstance(n, ast.ClassDef) and n.name == "Plot")
    parts.append("## What they return")
    for one in results.values():
        parts += _class(one)
    return "\n\n".join(parts)


def _tree(module: str) -> ast.Module:
    return ast.parse((ROOT / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8"))


def _function(name: str, node: ast.FunctionDef, level: str) -> Iterator[str]:
    yield f"{level} {name}"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    # One argument per line, as the formatter would write a long call.
    arguments = ast.unparse(node.args)
    inside = f"({arguments})" if len(arguments) < 60 else "(\n    " + ",\n    ".join(_split(arguments)) + ",\n)"
    yield f"```python\n{name}{inside}{returns}\n```"
    yield from _paragraphs(node)


def _split(arguments: str) -> list[str]:
    """The arguments between their commas, those in brackets left alone."""
    parts, depth = [""], 0
    for character in arguments:
        depth += (character in "[(") - (character in "])")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _class(node: ast.ClassDef) -> Iterator[str]:
    yield f"### {node.name}"
    yield from _paragraphs(node)
    rows = []
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and not one.name.startswith("_") and one.name != "blocks":
            arguments = ast.unparse(one.args).removeprefix("self").removeprefix(", ")
            is_property = any(ast.unparse(mark) == "property" for mark in one.decorator_list)
            shown = one.name if is_property else f"{one.name}({arguments})"
            rows.append(f"| `{shown.replace('|', chr(92) + '|')}` | {' '.join(_paragraphs(one))} |")
    if rows:
        yield "\n".join(["| | |", "|---|---|", *rows])


def _paragraphs(node: ast.FunctionDef | ast.ClassDef) -> list[str]:
    text = inspect.cleandoc(ast.get_docstring(node) or "")
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph]
