"""A hook of MkDocs (`.github/mkdocs.yml`): which files of the repository are pages, their order, and their links.

The site has the repository's folders: the README is its first page, and relative links between documents stay as they
are. A link to a file that is not a page leads to the repository, if `repo_url` names one; otherwise its words stay.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SECTIONS = {
    "Use it": (
        "README.md",
        "docs/use-a-network.md",
        "docs/model-card.md",
        "docs/serve-api.md",
        "docs/python.md",
        "docs/gpu.md",
        "docs/many-machines.md",
        "docs/sweeps.md",
    ),
    "Your paper, your model": (
        "docs/add-a-paper.md",
        "docs/evaluate.md",
        "docs/clean-split.md",
        "docs/lessons/README.md",
    ),
    "How it is judged": ("docs/verdicts.md", "docs/duplicates.md", "docs/explain.md", "docs/printed-numbers.md"),
    "How it works": ("docs/README.md", "docs/how-it-works.md", "docs/measurements.md", "CHANGELOG.md"),
}
# Files that the pages show or offer.
SHOWN = (
    "results/figures/*.svg",
    "results/figures/*.png",
    "results/evaluations/*/*.svg",
    "results/*.csv",
    "results/*/*.csv",
)
OFFERED = (
    "docs/website.css",
    "CITATION.cff",
    "LICENSE",
    "papers/*.toml",
    "papers/models/*.toml",
    "leaderboard/*",
    "docs/lessons/leakage*",
)
LINK = re.compile(r"(?P<image>!?)\[(?P<words>(?:[^\[\]]|\[[^\[\]]*\])*)\]\(<?(?P<target>[^()<>\s]+)>?\)")
FENCE = re.compile(r"(^```.*?^```)", re.M | re.S)
COMMENT = re.compile(r"\A<!--.*?-->\s*", re.S)


def pages() -> dict[str, list[str]]:
    """The pages of each section, by their paths in the repository."""
    found = {title: list(paths) for title, paths in SECTIONS.items()}
    found["Results"] = [*_there("results/*.md"), *_there("results/evaluations/*/evaluation.md")]
    commands = _there("docs/commands/*.md")
    found["Commands"] = sorted(commands, key=lambda path: (not path.endswith("/README.md"), path))
    return found


def _there(pattern: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern) if path.is_file())


def on_config(config: Any) -> Any:
    config["nav"] = [{title: paths} for title, paths in pages().items()]
    return config


def on_files(files: Any, config: Any) -> Any:
    """The repository's files in the place of those of docs/."""
    from mkdocs.structure.files import File, Files  # pyright: ignore[reportMissingImports]

    # The theme's own files, which are not of docs/.
    kept = [file for file in files if not str(file.abs_src_path).startswith(config["docs_dir"] + os.sep)]
    paths = dict.fromkeys([one for section in pages().values() for one in section])
    paths |= dict.fromkeys(path for pattern in (*SHOWN, *OFFERED) for path in _there(pattern))
    return Files([*kept, *(File.generated(config, path, abs_src_path=str(ROOT / path)) for path in paths)])


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Begins with its title, which MkDocs would not find behind a comment."""
    known = {file.src_uri for file in files}
    parts = FENCE.split(COMMENT.sub("", markdown))
    return "".join(
        part if part.startswith("```") else with_links(part, page.file.src_uri, known, config["repo_url"])
        for part in parts
    )


def with_links(text: str, page: str, known: set[str], repository: str | None) -> str:
    """Markdown without links to files that the site lacks. page: its path; known: the paths of the site's files.

    Raises ValueError for a link to what is not in the repository either.
    """

    def changed(found: re.Match[str]) -> str:
        target, mark, anchor = found["target"].partition("#")
        if "://" in target or not target:
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
        if path in known:
            return found[0]
        if not (ROOT / path).exists():
            raise ValueError(f"{page}: {found[0]}: there is no {path}")
        if not repository:
            return found["words"]
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"[{found['words']}]({repository.rstrip('/')}/{kind}/HEAD/{path}{mark}{anchor})"

    return LINK.sub(changed, text)
