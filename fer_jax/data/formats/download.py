"""FER-2013 from Kaggle or Hugging Face, through their official clients (the extra ``get``)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fer_jax.data.faces import DataError

# Copies with the pixels as published: a fer2013.csv, and PNG images in parquet files with the three official splits.
HANDLES = {"kaggle": "deadskull7/fer2013", "huggingface": "AutumnQiu/fer2013"}
_PAGES = {
    "kaggle": "https://www.kaggle.com/datasets/{}",
    "huggingface": "https://huggingface.co/datasets/{}",
}
_CLIENTS = {"kaggle": "kagglehub", "huggingface": "huggingface_hub"}


def _kaggle(handle: str) -> str:
    import kagglehub  # pyright: ignore[reportMissingImports]

    return kagglehub.dataset_download(handle)


def _huggingface(handle: str) -> str:
    from huggingface_hub import snapshot_download  # pyright: ignore[reportMissingImports]

    return snapshot_download(handle, repo_type="dataset", allow_patterns=["*.parquet"])


def download(source: Literal["kaggle", "huggingface"], handle: str | None = None) -> Path:
    """Fetch a copy into the client's own cache folder and return its path, ready for ``read_faces``.

    ``handle`` names another dataset of that site, as 'owner/name'. DataError if the client, the network or the
    credentials are missing. The message has two lines: what failed, and what to do instead.
    """
    fetch = {"kaggle": _kaggle, "huggingface": _huggingface}.get(source)
    if fetch is None:
        raise DataError(f"no source {source!r}\naccepted are {', '.join(HANDLES)}")
    handle = handle or HANDLES[source]
    page = _PAGES[source].format(handle)
    by_hand = f"fetch {page} with a browser, then import the file you got"
    try:
        found = Path(fetch(handle))
    except ImportError as error:
        client = _CLIENTS[source]
        raise DataError(
            f"downloading from {source} needs its client {client}, which is not usable here ({_one_line(error)})\n"
            f"install the extra 'get' (pip install {client}), or {by_hand}"
        ) from error
    except Exception as error:  # the clients raise their own and their HTTP library's kinds; none is useful here
        raise DataError(
            f"downloading {handle} from {source} failed ({type(error).__name__}: {_one_line(error)})\n"
            f"check the network and the site's credentials, or {by_hand}"
        ) from error
    if not found.exists() or (found.is_dir() and not any(p.is_file() for p in found.rglob("*"))):
        raise DataError(f"{source} has no usable file under {handle}\n{by_hand}")
    return found


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else text[:157] + "..."
