"""The application without a socket: its pages, the records that they link to, and the results of the moment."""

from __future__ import annotations

import io
import json
import re
from functools import partial

import numpy as np
import pytest
from PIL import Image
from serve_process import ask, trained_results

from fer_jax.vocabulary.fer2013 import EMOTIONS
from repro.measurements.live_latency import as_jpeg, one_face
from repro.runs.record_files import RecordError
from repro.use.recognition.detection import open_detector
from repro.use.recognition.errors import PictureError
from repro.use.serve import app as app_module
from repro.use.serve.app import make_app, policy_of
from repro.use.serve.limits import DEFAULT
from repro.use.serve.recognition import Recognition
from repro.use.serve.security import access_of
from repro.use.serve.start import open_networks

PAGE = (
    '<meta http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;; img-src data:">'
    '<main id="results"><h1>Results</h1></main>'
)


@pytest.fixture(scope="module")
def results(tmp_path_factory, make_tiny_paper):
    return trained_results(tmp_path_factory, make_tiny_paper)


@pytest.fixture(scope="module")
def recognition(results):
    return Recognition(open_networks(results), open_detector, DEFAULT, None)


def client(recognition, results, render=lambda: PAGE, *, remote: bool = False, token: str | None = None):
    """`get(path)` of the application."""
    access = access_of("127.0.0.1", token, "127.0.0.1")
    return partial(ask, make_app(recognition, results, render, access, DEFAULT, remote=remote))


# --- pages ------------------------------------------------------------------------------------------------------------


def test_the_live_page_names_the_network_and_what_it_is_worth(recognition, results):
    here = client(recognition, results)("/").text
    assert "tiny default, protocol as-published, seed 0" in here
    assert "trained on synthetic faces" in here and "not of a feeling" in here
    assert "Nothing leaves this computer" in here
    there = client(recognition, results, remote=True)("/").text
    assert "Nothing leaves this computer" not in there and "not encrypted" in there


def test_pages_load_what_is_there_and_nothing_from_elsewhere(recognition, results):
    get = client(recognition, results)
    signed_out = client(recognition, results, token="x" * 20)
    for page in (get("/").text, signed_out("/").text):
        addresses = re.findall(r'(?:src|href|action)="([^"]+)"', page)
        assert len(addresses) >= 3 and all(address.startswith("/") for address in addresses)
        assert not re.search(r"<style|\son\w+=|\sstyle=|<script(?![^>]*\ssrc=)", page), "the policy forbids inline code"
        for address in set(addresses) - {"/session", "/", "/results"}:
            answer = signed_out(address)
            kind = {"css": "text/css", ".js": "text/javascript", "svg": "image/svg+xml"}[address[-3:]]
            assert answer.status_code == 200 and answer.headers["content-type"].startswith(kind)


def test_no_script_or_style_names_another_site():
    for entry in app_module.STATIC.iterdir():
        text = entry.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.findall(r"https?://|wss?://(?!\$\{location\.host\})|@import|innerHTML|eval\(", text), entry.name


# --- results ----------------------------------------------------------------------------------------------------------


def test_the_results_page_keeps_its_own_policy_and_leads_back(recognition, results):
    answer = client(recognition, results)("/results")
    assert answer.headers["content-security-policy"] == "default-src 'none'; img-src data:; frame-ancestors 'none'"
    assert '<main id="results"><p><a href="/">Live recognition</a></p><h1>' in answer.text
    assert policy_of("<p>no policy of its own</p>") == "default-src 'none'; frame-ancestors 'none'"


def test_the_results_are_rendered_again_only_after_a_while(recognition, results, monkeypatch):
    rendered: list[int] = []

    def render() -> str:
        rendered.append(1)
        return PAGE

    get = client(recognition, results, render)
    assert get("/results").text == get("/results").text
    assert len(rendered) == 1
    monkeypatch.setattr(app_module, "RESULTS_S", 0.0)
    get("/results")
    assert len(rendered) == 2, "a run that ended meanwhile is to be seen"


def test_a_record_that_cannot_be_read_is_one_sentence(recognition, results):
    def render() -> str:
        raise RecordError("runs/x/run.json: not a record")

    answer = client(recognition, results, render)("/results")
    assert (answer.status_code, answer.text) == (500, "runs/x/run.json: not a record")


def test_records_can_be_read_and_nothing_else_of_the_folder(recognition, results, tmp_path):
    get = client(recognition, results)
    (record,) = results.glob("runs/**/run.json")
    path = record.relative_to(results).as_posix()
    assert get(f"/results/{path}").json()["paper"] == "tiny"
    assert get(f"/results/{path.replace('run.json', 'predictions.npz')}").status_code == 200
    folder = get("/results/runs/")
    assert (folder.status_code, folder.headers["location"]) == (303, "/results")
    (results.parent / "secret.json").write_text("{}")
    (results / "faces.png").write_bytes(b"picture")
    (results / "link.json").symlink_to(results.parent / "secret.json")
    for other in ("faces.png", "../secret.json", "%2e%2e/secret.json", "..%2fsecret.json", "link.json", "nothing.json"):
        assert get(f"/results/{other}").status_code == 404, other


# --- recognition ------------------------------------------------------------------------------------------------------


def test_a_face_gets_a_box_around_it_and_what_the_network_says_of_it(recognition):
    answer = recognition.new_camera(recognition.networks.first)(as_jpeg(one_face()))
    (face,) = answer["faces"]
    assert abs(face["left"] + face["width"] / 2 - 320) < 30 and abs(face["top"] + face["height"] / 2 - 240) < 30
    assert 130 < face["width"] < 270
    assert len(face["probabilities"]) == len(EMOTIONS) and sum(face["probabilities"]) == pytest.approx(1, abs=1e-3)
    assert set(answer["ms"]) == {"decode", "detection", "network"} and json.dumps(answer)


def test_several_faces_are_told_up_to_the_limit(recognition):
    one = one_face()[130:350, 210:430]
    many = Image.fromarray(np.tile(np.pad(one, 20, mode="edge"), (4, 4)))
    file = io.BytesIO()
    many.save(file, "JPEG")
    faces = recognition.new_camera(recognition.networks.first)(file.getvalue())["faces"]
    assert len(faces) == DEFAULT.faces
    for face in faces:
        np.testing.assert_allclose(face["probabilities"], faces[0]["probabilities"], atol=0.2)


@pytest.mark.parametrize(
    "payload", [b"", b"x" * 100, as_jpeg(one_face())[:-3000], as_jpeg(np.zeros((1300, 1300), np.uint8))]
)
def test_what_is_no_jpeg_of_a_fair_size_is_refused(recognition, payload):
    with pytest.raises(PictureError, match=r"^The picture: "):
        recognition.new_camera(recognition.networks.first)(payload)
