"""Compiled programs kept between processes: found again, told apart by machine, and never in the way."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from fer_jax.machine import compilation
from fer_jax.machine.compilation import keep_compiled_programs, machine_tag

ROOT = Path(__file__).parents[2]

# Compiled ahead with the engine's options, as its programs are; prints how many were found in the cache.
PROGRAM = """
import jax, jax.numpy as jnp
from jax import monitoring
from fer_jax.network.backends import choose_backend
from fer_jax.machine.compilation import keep_compiled_programs

found = []
monitoring.register_event_listener(lambda event, **_: found.append(event))
folder = keep_compiled_programs()
options = {**choose_backend("cpu").compiler_options} or None
compiled = jax.jit(lambda x: jnp.sin(x) @ x.T).lower(jnp.ones((3, 4))).compile(compiler_options=options)
assert abs(float(compiled(jnp.ones((3, 4)))[0, 0]) - 3.3658839) < 1e-5
print(sum(event.endswith("/cache_hits") for event in found), folder)
"""


def compile_in_a_process(cache):
    environment = {**os.environ, "FER_JAX_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    return subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, timeout=240)


@pytest.fixture
def restored():
    """The session's cache, whatever a test does to it."""
    before = jax.config.values["jax_compilation_cache_dir"]
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation.compilation_cache.reset_cache()


def test_the_second_process_finds_what_the_first_compiled(tmp_path):
    first, second = (compile_in_a_process(tmp_path) for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert first.stdout.startswith("0 "), "nothing can be found in an empty folder"
    hits = int(second.stdout.split()[0])
    programs = list((tmp_path / "compiled" / machine_tag()).glob("jit_*-cache"))
    assert hits == len(programs) >= 2  # the smallest too: that of `jnp.ones`
    assert second.stderr == ""


def test_a_damaged_program_is_compiled_anew_with_a_warning(tmp_path):
    assert compile_in_a_process(tmp_path).returncode == 0
    for path in (tmp_path / "compiled").rglob("jit_*-cache"):
        path.write_bytes(path.read_bytes()[:100])
    done = compile_in_a_process(tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("0 ")
    assert "persistent compilation cache" in done.stderr


def test_a_folder_that_cannot_be_written_to_only_warns(tmp_path, restored):
    (tmp_path / "file").write_text("in the way")
    before = jax.config.values["jax_compilation_cache_dir"]
    with pytest.warns(UserWarning, match=r"file/compiled.*FER_JAX_CACHE"):
        assert keep_compiled_programs(tmp_path / "file") is None
    assert jax.config.values["jax_compilation_cache_dir"] == before


def test_a_folder_that_the_user_gave_to_jax_stays(tmp_path, monkeypatch, restored):
    before = jax.config.values["jax_compilation_cache_dir"]
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "own"))
    assert keep_compiled_programs(tmp_path) == tmp_path / "own"
    assert jax.config.values["jax_compilation_cache_dir"] == before and not (tmp_path / "compiled").exists()


def test_machines_have_folders_of_their_own(tmp_path, monkeypatch, restored):
    here = keep_compiled_programs(tmp_path)
    monkeypatch.setattr(compilation, "processor", lambda: "another model with other instructions")
    there = keep_compiled_programs(tmp_path)
    assert here and there and here != there and here.parent == there.parent == tmp_path / "compiled"
    assert jax.config.values["jax_compilation_cache_dir"] == str(there)
