"""Read FER-2013 in all its common forms into :class:`fer_jax.data.faces.Faces`: one module per form."""

from fer_jax.data.formats.imported import Imported, describe, summary
from fer_jax.data.formats.reader import read_faces

__all__ = ["Imported", "describe", "read_faces", "summary"]
