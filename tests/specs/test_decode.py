"""repro.specs.decode: what is wrong with a spec is said in one message, with the file, the key path and what is
accepted."""

from __future__ import annotations

import hashlib
import re

import msgspec
import pytest
from spec_mistakes import MISTAKES
from tiny_paper import TINY, load_tiny, write_tiny

from repro.runs.plan import settings_sha256
from repro.specs.decode import SpecError, load_spec

TANH = '"model.layers.activation1.function" = "tanh"'


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_message_names_file_place_and_what_is_accepted(tmp_path, mistake):
    old, new, expected = MISTAKES[mistake]
    path = write_tiny(tmp_path, (old, new))
    with pytest.raises(SpecError) as error:
        load_spec(path)
    message = re.sub(r"^(.*?\.toml):\d+: ", r"\1: ", str(error.value))
    message, _, advice = message.partition("; did you mean " if "; did you" in message else "; nearest: ")
    start = f"{path}: {expected}"
    assert message == start.removesuffix("$") if start.endswith("$") else message.startswith(start)
    assert "\n" not in message + advice
    assert not re.search(r"\$|`(int|str|float|bool|array|object|null)\b", message), "a Python word, not TOML's"


def test_the_unchanged_paper_is_valid(tmp_path):
    loaded = load_tiny(tmp_path)
    assert loaded.id == "tiny"
    assert loaded.variant_names() == ("default", "tanh")
    assert [entry.kind for entry in loaded.provenance["training.optimizer"]] == ["assumed"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"format = 1 # \xff\n", "not UTF-8 text at byte 13; save it as UTF-8"),
        (b"", "missing key `format`; accepted: 1"),
    ],
)
def test_a_file_that_is_no_spec(tmp_path, content, expected):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=re.escape(f"{path}: {expected}")):
        load_spec(path)


def test_a_file_that_is_not_there_and_a_folder(tmp_path):
    with pytest.raises(SpecError, match=re.escape(f"{tmp_path / 'x.toml'}: no such file")):
        load_spec(tmp_path / "x.toml")
    with pytest.raises(SpecError, match=re.escape(f"{tmp_path}: a folder, not a file")):
        load_spec(tmp_path)


def test_a_byte_order_mark_as_some_editors_write_it_is_no_mistake(tmp_path):
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TINY.encode())
    assert load_spec(path).id == "tiny"


def test_a_variant_changes_what_it_names_and_nothing_else(tmp_path):
    loaded = load_tiny(tmp_path)
    default, tanh = loaded.resolve("default"), loaded.resolve("tanh")
    assert [getattr(layer, "function", None) for layer in tanh.model.layers] == [None, "tanh", None, None]
    assert [getattr(layer, "function", None) for layer in default.model.layers] == [None, "relu", None, None]
    assert (tanh.data, tanh.training) == (default.data, default.training)
    assert loaded.resolve("default") is default


def test_a_variant_may_replace_a_list_of_layers_and_then_name_one_of_the_new(tmp_path):
    change = (
        '"model.layers" = [{ layer = "flatten" }, { layer = "dense", units = 5 }, { layer = "dense", units = 7 }], '
        '"model.layers.dense1.units" = 6, "training.optimizer" = { optimizer = "adam", learning_rate = 0.001 }'
    )
    spec = load_tiny(tmp_path, (TANH, change)).resolve("tanh")
    assert [getattr(layer, "units", None) for layer in spec.model.layers] == [None, 6, 7]
    assert spec.training.optimizer.__struct_config__.tag == "adam"


def test_an_unknown_variant_is_told_the_known_ones(tmp_path):
    with pytest.raises(SpecError, match="no variant 'elu'; this paper has: default, tanh"):
        load_tiny(tmp_path).resolve("elu")


def test_the_hash_of_the_file_changes_with_every_byte(tmp_path):
    first = load_tiny(tmp_path).sha256
    assert load_tiny(tmp_path, ("Abstract", "abstract")).sha256 != first


# --- layers of the user's own -----------------------------------------------------------------------------------------

OWN = 'layer = "python:my_layers:Gate"\nsha256 = "{}"\nsettings = {{ start = 2.0 }}\n'
ACTIVATION = 'layer = "activation"\nfunction = "relu"\n'


def test_a_layer_of_the_users_own_is_never_executed_when_a_spec_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "my_layers.py"
    source.write_text("raise SystemExit('executed')")
    found = hashlib.sha256(source.read_bytes()).hexdigest()
    merge = (TANH, '"model.layers.python1.settings.start" = 3.0')
    loaded = load_tiny(tmp_path, merge, (ACTIVATION, OWN.format(found)))
    layer = loaded.resolve("default").model.layers[1]
    assert msgspec.to_builtins(layer) == {
        "layer": "python",
        "module": "my_layers:Gate",
        "sha256": found,
        "settings": {"start": 2.0},
        "output": (),
    }
    hashes = {settings_sha256(loaded.resolve(name)) for name in ("default", "tanh")}
    edited = load_tiny(tmp_path, merge, (ACTIVATION, OWN.format("1" * 64)))  # the file of before
    assert len(hashes | {settings_sha256(edited.resolve("default"))}) == 3


@pytest.mark.parametrize("there", [True, False])
def test_a_missing_hash_is_named(tmp_path, monkeypatch, there):
    monkeypatch.chdir(tmp_path)
    if there:
        (tmp_path / "my_layers.py").write_text("")
    edits = (TANH, '"model.layers.conv1.filters" = 3'), (ACTIVATION, 'layer = "python:my_layers:Gate"\n')
    said = f'my_layers.py has sha256 = "{hashlib.sha256(b"").hexdigest()}"' if there else "no module my_layers"
    with pytest.raises(SpecError, match=said) as error:
        load_tiny(tmp_path, *edits)
    assert "model.layers[1] (python1): " in str(error.value)
