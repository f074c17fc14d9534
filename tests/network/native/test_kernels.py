"""The C++ kernels by themselves: `check_kernels.cc`, linked with the library that the suite runs."""

import subprocess
from pathlib import Path

import pytest

from fer_jax.network.native import calls, compiler, library

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C++ compiler")


def test_thousands_of_shapes_against_double_precision(tmp_path):
    assert calls.available()
    command = compiler.compiler()
    assert command
    built = library.kept_library(library.cache_folder() / "native", command)
    program, headers = tmp_path / "check", Path(library.__file__).parent
    arguments = [f"-I{headers}", str(HERE / "check_kernels.cc"), str(built), f"-Wl,-rpath,{built.parent}", "-pthread"]
    subprocess.run([*command, *compiler.flags(), *arguments, "-o", str(program)], check=True, timeout=120)
    done = subprocess.run([program, "40"], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert " 0 faults" in done.stdout and int(done.stdout.split()[0]) > 1000
