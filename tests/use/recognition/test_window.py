"""The window shows pictures until somebody closes it, and says what to do where there can be none."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from repro.use.recognition.errors import RecognitionError
from repro.use.recognition.window import Window

# In a process of its own: Tk ends the process that it lives in when its screen goes away.
SCRIPT = """
import json
from PIL import Image
from repro.use.recognition.window import Window

class Slides:
    def __init__(self, window, closing, last):
        self.window, self.closing, self.last, self.taken = window, closing, last, 0

    def take(self):
        self.taken += 1
        root = self.window._root
        if self.taken == 3 and self.closing == "close":
            root.tk.call(root.protocol("WM_DELETE_WINDOW"))
        elif self.taken == 3 and self.closing == "error":
            raise ValueError("the camera went away")
        elif self.taken == 3 and self.closing:
            root.focus_force()
            root.update()
            root.event_generate(self.closing)
        return Image.new("RGB", (1600, 900), (200, 30, 30))

    @property
    def ended(self):
        return self.taken == self.last

told = {}
for closing, last in (("<q>", 100), ("<Escape>", 100), ("close", 100), ("error", 100), ("", 1), ("", 5)):
    with Window("a test") as window:
        slides = Slides(window, closing, last)
        try:
            window.show(slides)
        except ValueError as error:
            told["raised"] = str(error)
        told[f"{closing} {last}"] = slides.taken
        told["size"] = (window._photo.width(), window._photo.height())
print(json.dumps(told))
"""


@pytest.fixture
def screen() -> Iterator[str]:
    """A screen in memory of 800 x 600 pixels."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    read, write = os.pipe()
    words = ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24", "-nolisten", "tcp"]
    server = subprocess.Popen(words, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as number:
        name = f":{number.readline().strip()}"
    yield name
    server.terminate()
    server.wait()


def test_keys_the_close_button_the_end_and_errors_close_the_window(screen: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "DISPLAY": screen},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told.pop("size") == [800, 450], "no larger than the screen"
    assert told.pop("raised") == "the camera went away"
    assert (told.pop(" 1"), told.pop(" 5"), told.pop("error 100")) == (1, 5, 3)
    assert set(told) == {"<q> 100", "<Escape> 100", "close 100"}
    assert all(3 <= taken < 10 for taken in told.values())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a screen has no name in the environment")
def test_without_a_screen_the_error_names_the_other_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(RecognitionError, match=r"no window: .*`repro serve`.* --out FILE"):
        Window("a test")
