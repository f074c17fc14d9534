"""A window that shows images. Uses Tk, which comes with Python, because the headless OpenCV has no windows."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from PIL import Image

from repro.use.recognition.errors import RecognitionError

_POLL_MS = 10
_ELSEWHERE = "use `repro serve` for the browser's camera, or --video FILE --out FILE"


class PictureStream(Protocol):
    """The source of a window's images: `take` gives a new image or None; `ended` closes the window."""

    def take(self) -> Image.Image | None: ...

    @property
    def ended(self) -> bool: ...


class Window:
    """Use as a context manager. Raises RecognitionError if this Python has no Tk or there is no display."""

    def __init__(self, title: str) -> None:
        try:
            import tkinter

            from PIL import ImageTk
        except ImportError:
            raise RecognitionError(f"no window: this Python comes without Tk (tkinter); {_ELSEWHERE}") from None
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise RecognitionError(f"no window: {error}; {_ELSEWHERE}") from None
        self._photo_of = ImageTk.PhotoImage
        self._root.title(title)
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._open = True
        self._error: BaseException | None = None
        for key in ("q", "Q", "<Escape>"):
            self._root.bind(key, lambda _: self._close())
        self._root.protocol("WM_DELETE_WINDOW", self._close)

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._root.update_idletasks()  # or Tk complains about pending work
        self._root.destroy()

    def show(self, pictures: PictureStream) -> None:
        """Run until the window is closed, q or Escape is pressed, or the images end. Raises what `take` raises."""
        self._root.after(0, self._poll, pictures)  # not at once: a window closed before its loop began would stay open
        self._root.mainloop()
        if self._error is not None:
            raise self._error

    def _poll(self, pictures: PictureStream) -> None:
        try:
            picture = pictures.take()
        except BaseException as error:  # Tk would print it and continue
            self._error = error
            self._close()
            return
        if picture is not None:
            picture.thumbnail((self._root.winfo_screenwidth(), self._root.winfo_screenheight()))
            self._photo = self._photo_of(picture, master=self._root)  # kept here, because Tk does not hold a reference
            self._label.configure(image=self._photo)
        if pictures.ended:
            self._close()
        elif self._open:
            self._root.after(_POLL_MS, self._poll, pictures)

    def _close(self) -> None:
        self._open = False
        self._root.quit()
