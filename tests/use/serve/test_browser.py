"""The live page in a real Chromium, whose camera shows a drawn face: what a user sees and does, and what goes wrong."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Watched, accessibility_findings, open_chromium, overflow_px
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from serve_process import Server, running, trained_results

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.measurements.live_latency import as_jpeg, ask, conversation, one_face
from repro.use.fitting import keep_temperature
from repro.use.serve.sample import SHOWN, sample_jpeg
from repro.use.temperature import FittedTemperature
from repro.use.trained import open_run

SHIFT_PX = 150  # of the face to the left, so that a mirror is seen
TOKEN = "a-token-of-some-length"
LABEL = re.compile(rf"^(?:unsure: )?({'|'.join(EMOTIONS)}) \d+ %$")
LATENCY = re.compile(r"Round trip [\d.]+ ms, of which the server [\d.]+ \(decoding [\d.]+, detection [\d.]+, network ")


@pytest.fixture(scope="module")
def results(tmp_path_factory, make_tiny_paper) -> Path:
    return trained_results(tmp_path_factory, make_tiny_paper)


@pytest.fixture(scope="module")
def server(results) -> Iterator[Server]:
    with running(results) as started:
        yield started


@pytest.fixture(scope="module")
def chromium(tmp_path_factory) -> Iterator[Browser]:
    video = tmp_path_factory.mktemp("camera") / "face.mjpeg"
    video.write_bytes(20 * as_jpeg(np.roll(one_face(), -SHIFT_PX, axis=1)))
    with open_chromium("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={video}") as browser:
        yield browser


class Visit:
    """A page of the server, in a context of its own, and what went wrong on it."""

    def __init__(self, browser: Browser, server: Server, *, camera: bool = True, **options: object) -> None:
        permissions = ["camera"] if camera else []
        self.context = browser.new_context(permissions=permissions, **options)  # type: ignore[arg-type]
        self.watched = Watched(self.context, server.address)
        self.page = self.context.new_page()
        self.page.goto(server.url)

    def __enter__(self) -> Page:
        return self.page

    def __exit__(self, *_: object) -> None:
        self.context.close()


def start_camera(page: Page) -> None:
    page.get_by_role("button", name="Start camera").click()
    expect(page.locator("#guess")).to_have_text(LABEL)


def drawn_box(page: Page) -> tuple[float, float, float]:
    """Centre and width of what is drawn in white over the stage, as shares of it. The label is as wide as the box at
    most on a wide screen."""
    return tuple(
        page.evaluate(
            """() => {
              const overlay = document.getElementById("overlay");
              const { width, height } = overlay;
              const { data } = overlay.getContext("2d").getImageData(0, 0, width, height);
              let [left, right, top, bottom] = [width, 0, height, 0];
              for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) {
                if (data[4 * (y * width + x) + 3] === 0) continue;
                [left, right] = [Math.min(left, x), Math.max(right, x)];
                [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
              }
              return [(left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width];
            }"""
        )
    )


def probabilities(page: Page) -> dict[str, int]:
    rows = page.locator("#probabilities tr").all_inner_texts()
    return {name: int(share) for name, share in (re.fullmatch(r"(\w+)\s+(\d+) %", row).groups() for row in rows)}  # type: ignore[union-attr]


# --- camera -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 375)])
def test_the_camera_gets_a_box_a_label_the_probabilities_and_the_latency(chromium, server, scheme, width):
    visit = Visit(chromium, server, color_scheme=scheme, viewport={"width": width, "height": 800})
    with visit as page:
        assert accessibility_findings(page) == [] and overflow_px(page) == 0
        start_camera(page)
        expect(page.locator("#latency")).to_have_text(LATENCY)
        x, y, share = drawn_box(page)
        assert abs(x - (320 + SHIFT_PX) / 640) < 0.08, "mirrored, as the video is"
        assert abs(y - 0.5) < 0.12 and 130 / 640 < share < (270 / 640 if width > 640 else 0.8)
        found = probabilities(page)
        assert tuple(found) == EMOTIONS and abs(sum(found.values()) - 100) <= 4
        best, percent = re.search(r"(\w+) (\d+) %$", page.locator("#guess").inner_text()).groups()  # type: ignore[union-attr]
        assert abs(found[best] - max(found.values())) <= 1 and abs(int(percent) - found[best]) <= 2
        expect(page.locator("#spoken")).to_have_text(re.compile("|".join(EMOTIONS)))
        assert accessibility_findings(page) == [] and overflow_px(page) == 0
        page.get_by_role("button", name="Stop camera").click()
        expect(page.locator("#guess")).to_have_text("–")
        assert page.evaluate("document.getElementById('video').srcObject") is None, "the camera is off"
        assert visit.watched.errors == visit.watched.requests == []


def test_the_page_says_what_it_is_and_leads_to_the_results_and_back(chromium, server):
    visit = Visit(chromium, server)
    with visit as page:
        expect(page.get_by_text("guesses of an expression, not of a feeling")).to_be_visible()
        expect(page.get_by_text("Nothing leaves this computer")).to_be_visible()
        expect(page.get_by_text("This network was trained on synthetic faces")).to_be_visible()
        page.get_by_role("link", name="Results").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Reported and reproduced accuracy")
        expect(page.get_by_role("heading", level=2, name="teta2022")).to_be_attached()
        page.get_by_role("link", name="Live recognition").click()
        expect(page.get_by_role("button", name="Start camera")).to_be_visible()
        assert visit.watched.errors == visit.watched.requests == []


def test_it_works_with_the_keyboard_alone(chromium, server):
    with Visit(chromium, server) as page:
        reached = []
        for _ in range(7):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert reached == ["Live", "Results", "networks", "toggle", "cameras", "picture", "sample"]
        page.locator("#toggle").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#guess")).to_have_text(LABEL)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("NotFoundError", "No camera was found"),
        ("NotReadableError", "Another program may be using it"),
        ("StrangeError", "cannot be used (why)"),
    ],
)
def test_a_camera_that_cannot_be_had_is_told_plainly(chromium, server, error, told):
    with Visit(chromium, server) as page:
        page.evaluate(
            "(name) => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('why', name); } }",
            error,
        )
        page.get_by_role("button", name="Start camera").click()
        expect(page.locator("#message")).to_contain_text(told)
        expect(page.locator("#message")).to_contain_text("A picture works too.")


def test_a_browser_that_refuses_the_camera_is_told_plainly(chromium, server):
    with Visit(chromium, server, camera=False) as page:
        page.get_by_role("button", name="Start camera").click()
        expect(page.locator("#message")).to_contain_text("does not allow this page the camera")
        expect(page.get_by_role("button", name="Start camera")).to_be_enabled()


# --- a picture --------------------------------------------------------------------------------------------------------


def test_a_picture_gets_the_answer_that_the_server_gives_elsewhere(chromium, server, tmp_path):
    face = one_face(13)
    Image.fromarray(face).save(tmp_path / "face.png")
    with conversation(server.address) as connection:
        expected = ask(connection, as_jpeg(face))["faces"][0]["probabilities"]
    visit = Visit(chromium, server)
    with visit as page:
        page.locator("#picture").set_input_files(tmp_path / "face.png")
        expect(page.locator("#guess")).to_have_text(LABEL)
        found = probabilities(page)
        assert [found[name] / 100 for name in EMOTIONS] == pytest.approx(expected, abs=0.06)
        x, _, _ = drawn_box(page)
        assert abs(x - 0.5) < 0.05, "a picture is not mirrored"
        (tmp_path / "no.png").write_bytes(b"no picture")
        page.locator("#picture").set_input_files(tmp_path / "no.png")
        expect(page.locator("#message")).to_have_text("no.png is not a picture that this browser can read.")
        Image.new("L", (3000, 40)).save(tmp_path / "empty.jpg")
        page.locator("#picture").set_input_files(tmp_path / "empty.jpg")
        expect(page.locator("#guess")).to_have_text("no face")
        expect(page.locator("#message")).to_be_empty()
        assert visit.watched.errors == []


def test_a_picture_can_be_dropped_while_the_camera_runs(chromium, server):
    with Visit(chromium, server) as page:
        start_camera(page)
        jpeg = as_jpeg(np.full((480, 640), 90, np.uint8))
        data = page.evaluate_handle(
            "(bytes) => { const d = new DataTransfer();"
            " d.items.add(new File([new Uint8Array(bytes)], 'gray.jpg', { type: 'image/jpeg' })); return d; }",
            list(jpeg),
        )
        page.dispatch_event("#stage", "drop", {"dataTransfer": data})
        expect(page.locator("#guess")).to_have_text("no face")
        expect(page.get_by_role("button", name="Start camera")).to_be_visible()


# --- the sample picture, its faces, another network -------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_networks(results, tmp_path_factory) -> Iterator[Server]:
    """A server with a second network that is never sure: the same one with the highest temperature."""
    folder = tmp_path_factory.mktemp("two") / "results"
    shutil.copytree(results, folder)
    (record,) = folder.glob("runs/**/run.json")
    unsure = record.parent.with_name("seed-1")
    shutil.copytree(record.parent, unsure)
    run = open_run(unsure)
    sure, never = ((0.3, 0.1), (2.0, 1.0)), 20.0
    fitted = FittedTemperature(
        value=never, split="validation", n=449, ece=sure[0], loss=sure[1], network_sha256=run.record.network_sha256
    )
    keep_temperature(run, fitted)
    with running(folder, "--run", str(record.parent)) as started:
        yield started


def crop_pixels(page: Page) -> np.ndarray:
    """Gray levels of the crop (48, 48)."""
    found = page.evaluate("() => [...document.getElementById('crop').getContext('2d').getImageData(0, 0, 48, 48).data]")
    pixels = np.array(found, np.uint8).reshape(48, 48, 4)
    assert (pixels[..., :1] == pixels[..., :3]).all() and (pixels[..., 3] == 255).all(), "gray"
    return pixels[..., 0]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_each_face_of_the_sample_picture_shows_its_crop_and_probabilities_when_clicked(
    chromium, two_networks, scheme, width
):
    visit = Visit(chromium, two_networks, color_scheme=scheme, viewport={"width": width, "height": 844})
    with visit as page:
        page.get_by_role("button", name="Try a sample picture").click()
        buttons = page.locator("#faces button")
        expect(buttons).to_have_count(len(SHOWN))
        box = page.locator("#overlay").bounding_box()
        assert box
        sample = np.asarray(Image.open(io.BytesIO(sample_jpeg())).convert("L"), float)
        seen = []
        for place in range(len(SHOWN)):  # from left to right, each in the middle of its third
            page.mouse.click(box["x"] + box["width"] * (0.18 + 0.32 * place), box["y"] + box["height"] / 2)
            expect(page.locator("#faces [aria-pressed=true]")).to_have_count(1)
            pressed = page.locator("#faces [aria-pressed=true]").inner_text()
            expect(page.locator("#of-face")).to_have_text(f"Probabilities of face {pressed[0]} of {len(SHOWN)}")
            expect(page.locator("#guess")).to_contain_text(pressed[2:])
            crop = crop_pixels(page)
            third = sample[:, round(sample.shape[1] * place / 3) : round(sample.shape[1] * (place + 1) / 3)]
            assert abs(crop.mean() - third[100:260, 30:-30].mean()) < 25, "of the face that was clicked"
            seen.append((pressed, tuple(probabilities(page).values()), crop.mean()))
        assert len({one[0][0] for one in seen}) == len(SHOWN) and len({round(one[2]) for one in seen}) == len(SHOWN)
        buttons.nth(0).focus()
        page.keyboard.press("Enter")
        expect(buttons.nth(0)).to_have_attribute("aria-pressed", "true")
        expect(buttons.nth(0)).to_be_focused()
        assert accessibility_findings(page) == [] and overflow_px(page) == 0
        assert visit.watched.errors == visit.watched.requests == []


def test_another_network_answers_about_the_same_picture_and_the_same_camera(chromium, two_networks):
    visit = Visit(chromium, two_networks)
    with visit as page:
        networks = page.get_by_label("Network", exact=True)
        offered = networks.evaluate("list => [...list.options].map((option) => option.value)")
        first, second = (one for one in offered if "seed-" in one)  # behind them the one that comes with the suite
        default = networks.input_value()
        assert default == first.replace("seed-1", "seed-0")
        page.get_by_role("button", name="Try a sample picture").click()
        expect(page.locator("#faces button")).to_have_count(len(SHOWN))
        other = {first, second} - {default}
        networks.select_option(other.pop())
        expect(page.locator("#certainty")).to_contain_text("temperature 20.00")
        expect(page.locator("#probabilities")).not_to_contain_text("–")
        expect(page.locator("#guess")).to_contain_text("unsure: ")
        assert max(probabilities(page).values()) < 40
        start_camera(page)
        expect(page.locator("#guess")).to_contain_text("unsure: ")
        networks.select_option(default)
        expect(page.locator("#certainty")).not_to_contain_text("temperature 20.00")
        expect(page.locator("#guess")).to_have_text(LABEL)
        assert visit.watched.errors == visit.watched.requests == []


# --- the server goes away ---------------------------------------------------------------------------------------------


def test_it_says_when_the_server_is_away_and_goes_on_when_it_is_back(chromium, results, tmp_path):
    with running(results) as first:
        port = str(first.port)
        visit = Visit(chromium, first)
        page = visit.page
        start_camera(page)
        assert first.interrupt() == 0, "an open page does not keep the server from ending"
        expect(page.locator("#connection")).to_contain_text("The server does not answer; trying again")
    with visit:
        with running(results, "--port", port):
            expect(page.locator("#connection")).to_be_empty()
            told = page.locator("#latency").inner_text()
            expect(page.locator("#latency")).not_to_have_text(told)
        file = tmp_path / "token"
        file.write_text(TOKEN)
        with running(results, "--port", port, "--token-file", str(file)) as third:
            assert TOKEN not in Path(f"/proc/{third.process.pid}/cmdline").read_text(), "others can see it"
            expect(page.get_by_role("heading", level=1)).to_have_text("Token")
            assert accessibility_findings(page) == []
            page.get_by_label("Token").fill("not-the-token-of-it")
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("alert")).to_have_text("That is not the token.")
            page.goto("about:blank")
            assert TOKEN not in third.url, "printed only if it was not chosen"
            page.goto(f"{third.url}#token={TOKEN}")
            expect(page.get_by_role("heading", level=1)).to_have_text("Live recognition")
            assert TOKEN not in page.url and page.url != f"{third.address}/"
            assert visit.context.cookies(page.url), "of the session"
            for elsewhere in (f"http://{third.host}:9/", f"http://{third.host}:9/results", f"{third.address}/"):
                assert not visit.context.cookies(elsewhere), "cookies ignore ports"
            start_camera(page)
            page.get_by_role("link", name="Results").click()
            expect(page.get_by_role("heading", level=1)).to_have_text("Reported and reproduced accuracy")
            page.get_by_role("link", name="Live recognition").click()
            expect(page.get_by_role("button", name="Start camera")).to_be_visible()
