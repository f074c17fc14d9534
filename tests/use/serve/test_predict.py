"""`POST /predict` without a socket: answers as the documents say, every error of theirs, tokens, and fair places."""

from __future__ import annotations

import asyncio
import io
import json
import re
from pathlib import Path

import httpx
import pytest
from PIL import Image
from serve_process import trained_results

from repro.measurements.live_latency import as_jpeg, one_face
from repro.use.recognition.detection import open_detector
from repro.use.serve.app import make_app
from repro.use.serve.limits import DEFAULT, Limits
from repro.use.serve.recognition import Recognition
from repro.use.serve.sample import SHOWN, sample_jpeg
from repro.use.serve.security import access_of
from repro.use.serve.start import open_networks
from repro.use.temperature import UNSURE_BELOW

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "serve-api.md").read_text(encoding="utf-8")
TOKEN = "a-token-of-some-length"
FACE = as_jpeg(one_face())


@pytest.fixture(scope="module")
def results(tmp_path_factory, make_tiny_paper):
    return trained_results(tmp_path_factory, make_tiny_paper)


@pytest.fixture(scope="module")
def recognition(results):
    return Recognition(open_networks(results), open_detector, DEFAULT, None)


class Client:
    """Posts to the application. Within one test all requests are in one event loop, as in the server."""

    def __init__(self, recognition, results, limits: Limits = DEFAULT, token: str | None = None) -> None:
        access = access_of("127.0.0.1", token, "127.0.0.1")
        self.app = make_app(recognition, results, str, access, limits, remote=False)

    def post(self, payload: bytes, path: str = "/predict", method: str = "POST", **headers: str) -> httpx.Response:
        return self.post_all([payload], path, method, **headers)[0]

    def post_all(
        self, payloads: list[bytes], path: str = "/predict", method: str = "POST", **headers: str
    ) -> list[httpx.Response]:
        """All at once."""

        async def call() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765") as client:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                return await asyncio.gather(
                    *(client.request(method, path, content=one, headers=named) for one in payloads)
                )

        return asyncio.run(call())


def violations(schema: dict, value: object, where: str = "$") -> list[str]:
    """What of a document is not as the schema says, for the keywords that the schema of the documents uses."""
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int}
    known = {"type", "required", "properties", "additionalProperties", "items", "minItems", "maxItems", "enum"}
    unknown = schema.keys() - known - {"minimum", "maximum", "exclusiveMinimum", "$schema"}
    found = [f"{where}: unknown keyword {name}" for name in unknown]
    types = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = [number if kind == "number" else type(value) is kinds[kind] for kind in types]
    if types and not any(fits):
        return [*found, f"{where}: {value!r} is no {types}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r}")
    if number:
        low, high = schema.get("minimum", schema.get("exclusiveMinimum", value)), schema.get("maximum", value)
        if not low <= value <= high or value == schema.get("exclusiveMinimum"):
            found.append(f"{where}: {value!r} is out of range")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append(f"{where}: {len(value)} items")
        for i, item in enumerate(value):
            found += violations(schema["items"], item, f"{where}[{i}]")
    if isinstance(value, dict):
        found += [f"{where}: no {name}" for name in schema.get("required", []) if name not in value]
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            found += [f"{where}: unexpected {name}"] if inner is False else violations(inner, item, f"{where}.{name}")
    return found


def documented_schema() -> dict:
    (text,) = re.findall(r"```json schema\n(.+?)\n```", DOCUMENT, re.DOTALL)
    return json.loads(text)


# --- answers ----------------------------------------------------------------------------------------------------------


def test_the_answer_and_the_example_are_as_the_documents_say(recognition, results):
    answer = Client(recognition, results).post(FACE)
    assert answer.status_code == 200
    found = answer.json()
    assert violations(documented_schema(), found) == []
    (example,) = re.findall(r"```json\n(.+?)\n```", DOCUMENT, re.DOTALL)
    assert violations(documented_schema(), json.loads(example)) == []
    (face,) = found["faces"]
    assert abs(face["left"] + face["width"] / 2 - 320) < 30 and abs(face["top"] + face["height"] / 2 - 240) < 30
    assert face["emotion"] == max(face["probabilities"], key=face["probabilities"].get)
    assert face["unsure"] == (max(face["probabilities"].values()) < UNSURE_BELOW)
    assert found["run"]["temperature"]["n"] > 200 and found["run"]["unsure_below"] == UNSURE_BELOW


def test_a_document_that_is_not_of_the_schema_is_found(recognition, results):
    found = Client(recognition, results).post(FACE).json()
    schema = documented_schema()
    for name, value in [("width", "640"), ("height", 0), ("faces", [{}]), ("faces", 11 * found["faces"]), ("x", 1)]:
        assert violations(schema, {**found, name: value}), name
    assert violations(schema, {"run": found["run"]})


def test_the_page_says_the_same_of_a_picture(recognition, results):
    by_page = recognition.new_camera(recognition.networks.first)(as_large(FACE))["faces"][0]["probabilities"]
    posted = Client(recognition, results).post(as_large(FACE)).json()["faces"][0]["probabilities"]
    assert list(posted.values()) == pytest.approx(by_page, abs=1e-4)


def as_large(jpeg: bytes) -> bytes:
    """Above the size of a camera's frame, so that the page searches it as a picture."""
    file = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).resize((960, 720)).save(file, "JPEG", quality=95)
    return file.getvalue()


def test_a_png_and_a_picture_without_a_face_are_answered(recognition, results):
    file = io.BytesIO()
    Image.fromarray(one_face()).save(file, "PNG")
    client = Client(recognition, results)
    assert len(client.post(file.getvalue(), content_type="application/x-www-form-urlencoded").json()["faces"]) == 1
    blank = io.BytesIO()
    Image.new("L", (200, 100)).save(blank, "PNG")
    found = client.post(blank.getvalue()).json()
    assert (found["width"], found["height"], found["faces"]) == (200, 100, [])
    assert violations(documented_schema(), found) == []


def test_the_sample_picture_has_the_faces_that_it_should_have(recognition, results):
    client = Client(recognition, results)
    sample = client.post(b"", path="/sample.jpg", method="GET")
    assert (sample.headers["content-type"], sample.content) == ("image/jpeg", sample_jpeg())
    assert len(client.post(sample.content).json()["faces"]) == len(SHOWN)


def test_the_networks_are_listed_and_can_be_chosen(recognition, results):
    client = Client(recognition, results)
    listed = client.post(b"", path="/networks", method="GET").json()
    keys = [one["network"] for one in listed["networks"]]
    assert listed["default"] == keys[0] and "tiny" in keys[0]
    assert (results / "runs" / keys[0] / "run.json").exists()
    chosen = client.post(FACE, path=f"/predict?network={keys[0]}").json()
    assert chosen == client.post(FACE).json() and chosen["run"]["network"] == keys[0]


# --- errors -----------------------------------------------------------------------------------------------------------


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("payload", "path", "method", "status", "told"),
    [
        (b"", "/predict", "POST", 400, "The picture: "),
        (b"image=@party.jpg", "/predict", "POST", 400, "The picture: "),
        (FACE[: len(FACE) // 2], "/predict", "POST", 400, "The picture: "),
        (b"GIF89a" + bytes(100), "/predict", "POST", 400, "The picture: "),
        (png(1281, 1281), "/predict", "POST", 400, "pixels are more than"),
        (FACE, "/predict?network=none", "POST", 404, "GET /networks"),
        (FACE, "/predict?network=../../x", "POST", 404, "GET /networks"),
        (bytes(DEFAULT.message_bytes + 1), "/predict", "POST", 413, "1,000,000 bytes"),
    ],
)
def test_errors_are_one_sentence_as_json(recognition, results, payload, path, method, status, told):
    answer = Client(recognition, results).post(payload, path=path, method=method)
    assert answer.status_code == status and f"| {status} |" in DOCUMENT
    assert list(answer.json()) == ["error"] and told in answer.json()["error"]
    assert "\n" not in answer.json()["error"] and "Traceback" not in answer.text


def test_other_methods_other_sites_and_other_names_are_refused(recognition, results):
    client = Client(recognition, results)
    assert client.post(b"", method="GET").status_code == 405
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"}, {"host": "evil.example"}):
        assert client.post(FACE, **headers).status_code == 403, headers
    assert client.post(FACE, sec_fetch_site="cross-site", sec_fetch_mode="no-cors").status_code == 403
    assert client.post(FACE, origin="http://127.0.0.1:8765").status_code == 200, "our own page"


def test_the_token_is_wanted_with_every_request_and_guesses_are_counted(recognition, results):
    client = Client(recognition, results, token=TOKEN)
    missing = client.post(FACE)
    assert (missing.status_code, missing.headers["www-authenticate"]) == (401, "Bearer") and "error" in missing.json()
    assert client.post(b"", path="/networks", method="GET").status_code == 401
    wrong = [client.post(FACE, authorization=f"Bearer {TOKEN}x").status_code for _ in range(DEFAULT.wrong_at_once + 1)]
    assert wrong == [401] * DEFAULT.wrong_at_once + [429]
    assert client.post(FACE, authorization=f"Bearer {TOKEN}").status_code == 200, "the owner is let in meanwhile"
    assert client.post(FACE, authorization=f"Basic {TOKEN}").status_code == 429
    assert client.post(FACE, path="/", authorization=f"Bearer {TOKEN}").status_code in (401, 403), "for programs alone"


def test_more_pictures_than_allowed_are_turned_away(recognition, results):
    client = Client(recognition, results, Limits(frames_per_s=0.01, burst=3))
    answers = client.post_all([png(8, 8)] * 5)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 429, 429]
    assert next(answer for answer in answers if answer.status_code == 429).headers["retry-after"] == "1"


def test_only_so_many_pictures_are_held_at_once(recognition, results):
    client = Client(recognition, results, Limits(live=2, burst=100))
    found = sorted(answer.status_code for answer in client.post_all([FACE] * 6))
    assert found.count(200) >= 2 and found.count(503) >= 1 and set(found) == {200, 503}


def test_a_network_that_is_gone_is_an_error_in_words(recognition, results, monkeypatch):
    from repro.runs.record_files import RecordError

    def gone(key):
        raise RecordError("runs/x: its record is here, its network is not")

    monkeypatch.setattr(recognition.networks, "open", gone)
    answer = Client(recognition, results).post(FACE)
    assert (answer.status_code, "its network is not" in answer.json()["error"]) == (500, True)
