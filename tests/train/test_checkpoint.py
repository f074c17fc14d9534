"""Checkpoints: what is read is what was written, and what a kill leaves behind does no harm."""

import gc
import json
import resource
import shutil
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.train.checkpoint import CheckpointError, Checkpoints

# A read that fails leaves Orbax' other reads of that checkpoint behind, which complain when they are collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected():
    yield
    gc.collect()


def state(seed, shape=(4, 3)):
    random = np.random.default_rng(seed)
    return {
        "params": {"dense1": {"kernel": jnp.asarray(random.normal(size=shape), jnp.float32)}},
        "step": jnp.asarray(seed, jnp.int32),
        "key": jax.random.key_data(jax.random.key(seed)),
        "empty": {},
    }


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)
    assert jax.tree.structure(one) == jax.tree.structure(other)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


def open_and_restore(folder, name="last"):
    checkpoints = Checkpoints(folder)
    try:
        return checkpoints.restore(name, state(0))
    finally:
        checkpoints.close()


def test_nothing_there(folder):
    assert open_and_restore(folder) is None
    assert open_and_restore(folder, "best") is None


def test_what_is_read_is_what_was_written(folder):
    meta = {"history": [{"loss": 0.1 + 0.2, "n": 3}], "rate": {"best": None, "value": 1e-7}}
    checkpoints = Checkpoints(folder)
    checkpoints.save("last", 3, state(3), meta)
    checkpoints.save("best", 2, state(2), {"epoch": 2})
    checkpoints.close()
    found = open_and_restore(folder)
    assert found is not None
    same(found[0], state(3))
    assert found[1] == meta and json.dumps(found[1]) == json.dumps(meta)
    best = open_and_restore(folder, "best")
    assert best is not None
    same(best[0], state(2))


def steps(folder, name="last"):
    return sorted(path.name for path in (folder / name).iterdir() if path.is_dir())


def test_the_newest_two_are_kept_until_the_run_has_ended(folder):
    checkpoints = Checkpoints(folder)
    for epoch in (1, 2, 3):
        checkpoints.save("last", epoch, state(epoch), {"epoch": epoch})
    assert steps(folder) == ["2", "3"]
    assert checkpoints.restore("last", state(0), epoch=2)[1] == {"epoch": 2}  # pyright: ignore[reportOptionalSubscript]
    checkpoints.keep_only({"last": 3})
    checkpoints.close()
    assert steps(folder) == ["3"]
    assert list(json.loads((folder / "digests.json").read_bytes())) == ["last/3"]
    found = open_and_restore(folder)
    assert found is not None and found[1] == {"epoch": 3}


def test_an_epoch_may_be_written_again(folder):
    """A process that was killed between `best` and `last` of an epoch does that epoch, and its `best`, anew."""
    checkpoints = Checkpoints(folder)
    checkpoints.save("best", 2, state(2), {"epoch": 2})
    checkpoints.close()
    checkpoints = Checkpoints(folder)
    checkpoints.save("best", 2, state(5), {"epoch": 2})
    checkpoints.close()
    found = open_and_restore(folder, "best")
    assert found is not None
    same(found[0], state(5))


def test_restored_arrays_take_the_place_of_their_model(folder):
    checkpoints = Checkpoints(folder)
    checkpoints.save("last", 1, state(1), {})
    mesh = jax.sharding.Mesh(np.array(jax.devices("cpu")), ("data",))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    found = checkpoints.restore("last", jax.device_put(state(0), everywhere))
    checkpoints.close()
    assert found is not None
    same(found[0], state(1))
    assert found[0]["params"]["dense1"]["kernel"].sharding == everywhere


def test_one_that_does_not_fit_is_an_error(folder):
    checkpoints = Checkpoints(folder)
    checkpoints.save("last", 1, state(1), {})
    other = {**state(0), "more": jnp.zeros(2)}
    with pytest.raises(CheckpointError, match=r"last: checkpoint 1 cannot be read .*--fresh"):
        checkpoints.restore("last", other)
    checkpoints.close()


def test_another_shape_is_an_error(folder):
    checkpoints = Checkpoints(folder)
    checkpoints.save("last", 1, state(1), {})
    with pytest.raises(CheckpointError, match="--fresh"):
        checkpoints.restore("last", state(0, shape=(4, 5)))
    checkpoints.close()


def test_a_damaged_one_is_an_error(folder):
    checkpoints = Checkpoints(folder)
    checkpoints.save("last", 1, state(1), {})
    checkpoints.close()
    shutil.rmtree(folder / "last" / "1" / "state")
    with pytest.raises(CheckpointError, match="--fresh"):
        open_and_restore(folder)


def test_half_deleted_older_one_does_no_harm(folder):
    """Killed while an older checkpoint was deleted, after the newer ones were finished."""
    checkpoints = Checkpoints(folder)
    checkpoints.save("last", 1, state(1), {"epoch": 1})
    shutil.copytree(folder / "last" / "1", folder / "kept")
    checkpoints.save("last", 2, state(2), {"epoch": 2})
    checkpoints.keep_only({"last": 2})
    checkpoints.close()
    shutil.copytree(folder / "kept", folder / "last" / "1")
    for file in sorted((folder / "last" / "1").rglob("*"))[::2]:
        if file.is_file():
            file.unlink()
    found = open_and_restore(folder)
    assert found is not None and found[1] == {"epoch": 2}
    same(found[0], state(2))
    checkpoints = Checkpoints(folder)
    checkpoints.save("last", 3, state(3), {"epoch": 3})
    checkpoints.close()
    found = open_and_restore(folder)
    assert found is not None and found[1] == {"epoch": 3}


def test_one_without_a_digest_beside_others_was_not_written_to_its_end(folder):
    """Killed between the checkpoint and its digest. A folder without any digests is from an older version."""
    checkpoints = Checkpoints(folder)
    checkpoints.save("last", 1, state(1), {"epoch": 1})
    digests = (folder / "digests.json").read_bytes()
    checkpoints.save("last", 2, state(2), {"epoch": 2})
    checkpoints.close()
    (folder / "digests.json").write_bytes(digests)
    with pytest.warns(UserWarning, match=r"last: checkpoint 2 cannot be used .it was not written to its end"):
        found = open_and_restore(folder)
    assert found is not None and found[1] == {"epoch": 1}
    (folder / "digests.json").write_text("{}")
    with pytest.warns(UserWarning, match=r"last: checkpoint 1 cannot be used .*The run starts at the beginning"):
        assert open_and_restore(folder) is None, "killed before the first was complete"
    (folder / "digests.json").unlink()
    found = open_and_restore(folder)
    assert found is not None and found[1] == {"epoch": 2}
    checkpoints = Checkpoints(folder)
    checkpoints.save("last", 3, state(3), {"epoch": 3})
    assert checkpoints.trouble("last", 2) is None, "checkpoints of the older version are taken as they are"
    checkpoints.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_full_disk_is_one_error_and_the_checkpoint_before_stays(folder, capfd):
    """A limit on the size of files replaces a full disk. Orbax logs nothing, and leaves nothing half-written."""
    checkpoints = Checkpoints(folder)
    checkpoints.save("last", 1, state(1), {"epoch": 1})
    large = state(2, shape=(600, 1000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(CheckpointError, match=rf"^{folder}: file too large.*; started again, the run resumes from"):
            checkpoints.save("last", 2, large, {"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert steps(folder) == ["1"]
    checkpoints.save("last", 2, state(2), {"epoch": 2})
    checkpoints.close()
    found = open_and_restore(folder)
    assert found is not None and found[1] == {"epoch": 2}
    gc.collect()
    assert capfd.readouterr().err == ""
