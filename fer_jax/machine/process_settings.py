"""Process-wide settings that can change a result: pinned here, or named so that a record can hold them.

JAX reads an environment variable for each of its options (JAX_ENABLE_X64 for jax_enable_x64), XLA reads XLA_FLAGS, and
NVIDIA's libraries read other variables. An option of JAX is in one of three places:

- `PINNED`: it can change numbers, or end a run. `pin` sets it before anything is traced.
- `HARMLESS`: caches, logs, time limits, which devices there are. Records name the device.
- neither (an option that this table does not know): `switches` names it if the environment sets it.
"""

from __future__ import annotations

import enum
import os
import re
from typing import Any

import jax

from fer_jax.machine.processor import host_cores
from fer_jax.vocabulary.errors import UserError

# JAX's own defaults, the same in 0.10.2 and 0.11.2 (jax/_src/config.py). An option that the installed JAX does not have
# is skipped.
PINNED: dict[str, bool | int | float | str | None] = {
    # Types and random numbers.
    "jax_enable_x64": False,
    "jax_explicit_x64_dtypes": "warn",
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_threefry_gpu_kernel_lowering": False,
    "jax_random_seed_offset": 0,
    "jax_legacy_prng_key": "allow",
    "jax_enable_custom_prng": False,
    "jax_debug_key_reuse": False,
    "jax_high_dynamic_range_gumbel": False,
    # Which operations a program has, and how XLA compiles them.
    "jax_default_matmul_precision": None,
    "jax_allow_f16_reductions": True,
    "jax_softmax_custom_jvp": False,
    "jax_use_direct_linearize": True,
    "jax_use_simplified_jaxpr_constants": False,
    "jax_embedded_constants_max_bytes": 32,
    "eager_constant_folding": False,
    "jax_scan3": False,
    "jax_remat3": False,
    "jax_custom_vjp3": False,
    "jax_custom_jvp3": False,
    "jax_remat_barrier_no_cotangents": False,
    "jax_auto_pcast": True,
    "jax_use_rgv3": True,
    "jax_raise_on_ppermute_sort_diff": True,
    "jax_remove_size_one_mesh_axis_from_type": False,
    "jax_use_shardy_partitioner": True,
    "jax_disable_most_optimizations": False,
    "jax_optimization_level": "UNKNOWN",
    "jax_exec_time_optimization_effort": 0.0,
    "jax_memory_fitting_effort": 0.0,
    "jax_memory_fitting_level": "O2",
    "jax_compiler_enable_remat_pass": True,
    "jax_xla_profile_version": 0,
    "jax_enable_pgle": False,
    "jax_bcoo_cusparse_lowering": False,
    "jax_use_magma": "auto",
    # Ends a run that would not stop by itself, or runs nothing at all.
    "jax_disable_jit": False,
    "jax_no_tracing": False,
    "jax_no_execution": False,
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_error_checking_behavior_nan": "ignore",
    "jax_error_checking_behavior_divide": "ignore",
    "jax_error_checking_behavior_oob": "ignore",
    "jax_check_static_indices": False,
    "jax_disallow_mesh_context_manager": False,
    "jax_disable_vmap_shmap_error": False,
    "jax_transfer_guard": None,
    "jax_transfer_guard_host_to_device": None,
    "jax_transfer_guard_device_to_device": None,
    "jax_transfer_guard_device_to_host": None,
    "jax_thread_guard": False,
    "jax_default_device": None,
}

# Beginnings of the names of all other options of JAX 0.10.2. A test sets each that is on or off to its other value and
# trains: the numbers stay.
HARMLESS = (
    *("check_vma", "jax2tf_", "mock_num_gpu", "jax_array_garbage_collection_guard", "jax_backend_target"),
    *(
        "jax_captured_constants_",
        "jax_check_proxy",
        "jax_check_tracer_leaks",
        "jax_compilation_cache_",
        "jax_compiler_detailed_",
        "jax_cpu_",
    ),
    *("jax_cross_host_", "jax_cuda_visible_devices", "jax_debug_leaked_", "jax_debug_log_", "jax_disable_bwd_checks"),
    *("jax_distributed_", "jax_dump_", "jax_enable_checks", "jax_enable_compilation_cache", "jax_enable_preemption_"),
    *("jax_enable_recoverability", "jax_experimental_unsafe_xla_runtime_errors", "jax_explain_", "jax_export_"),
    *("jax_force_dcn_", "jax_hlo_source_", "jax_include_", "jax_log", "jax_mock_", "jax_mosaic_", "jax_mutable_array_"),
    *("jax_num_cpu_devices", "jax_oneapi_visible_devices", "jax_pallas_", "jax_persistent_cache_", "jax_pgle_"),
    *("jax_pjrt_client_create_options", "jax_platform", "jax_pprint_", "jax_ragged_dot_", "jax_raise_persistent_"),
    *("jax_refs_to_pins", "jax_remove_custom_partitioning_", "jax_rocm_visible_devices", "jax_send_traceback_"),
    *("jax_serialization_version", "jax_share_binary_", "jax_sort_devices_", "jax_source_url_", "jax_traceback_"),
    *("jax_tracer_error_", "jax_use_emit_pipeline_", "jax_xla_backend", "jax_mtls_", "jax_use_cpp_shard_args"),
)

# Flags of XLA that JAX leaves out of the key of a compiled program, because they do not change it
# (jax/_src/cache_key.py).
_HARMLESS_XLA = ("--xla_dump_", "--xla_force_host_platform_device_count", "--xla_gpu_cuda_data_dir")
# Whether a CPU's threads share one operation. A process with one core has no other thread.
_OF_THREADS = "--xla_cpu_multi_thread_eigen"
# Variables of NVIDIA's libraries. They change how products are rounded or added up.
_OF_NVIDIA = ("NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG", "CUBLAS_EMULATE_SINGLE_PRECISION")


class SettingsError(UserError):
    """A setting of the process that changes results cannot be pinned. The message names it."""


def pin() -> None:
    """Set every option of `PINNED`. What is traced in this process from now on does not depend on the environment.

    Raises SettingsError inside a context of JAX that sets one differently, such as `jax.enable_x64(True)`.
    """
    for name in _other_than_pinned():
        jax.config.update(name, PINNED[name])
    if left := _other_than_pinned():
        raise SettingsError(f"{', '.join(left)}: set by a context of JAX; leave it before training or predicting")


def _other_than_pinned() -> list[str]:
    """The options of the installed JAX that are not what `PINNED` says, as they are in this thread."""
    now = jax.config.values
    return [name for name, value in PINNED.items() if name in now and _plain(now[name]) != value]


def _plain(value: Any) -> Any:
    """The word that sets an option whose value is an enumeration."""
    return value.name.lower() if isinstance(value, enum.Enum) else value


def switches(device_kind: str) -> dict[str, str]:
    """The settings of this process that may change results and cannot be pinned, by name; empty for most users.

    They are part of a run's identity and of its record. device_kind: cpu or gpu; NVIDIA's variables count on a GPU,
    the switch of the C++ kernels on a CPU.
    """
    found = {}
    harmless = (*_HARMLESS_XLA, _OF_THREADS) if device_kind == "cpu" and host_cores() == 1 else _HARMLESS_XLA
    flags = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if not flag.startswith(harmless)]
    if flags:
        found["XLA_FLAGS"] = " ".join(sorted(flags))
    for name in _OF_NVIDIA if device_kind == "gpu" else ():
        if os.environ.get(name):
            found[name] = os.environ[name]
    # XLA's threads on a CPU, instead of one for each core of `host_cores`. Sums over them are rounded differently.
    if device_kind == "cpu" and os.environ.get("NPROC", str(host_cores())) != str(host_cores()):
        found["NPROC"] = os.environ["NPROC"]
    if device_kind == "cpu" and os.environ.get("FER_JAX_NATIVE", "1") == "0":
        found["FER_JAX_NATIVE"] = "0"
    for name in jax.config.values:
        unknown = name not in PINNED and not name.startswith(HARMLESS)
        if unknown and re.sub(r"[^A-Z0-9_]", "_", name.upper()) in os.environ:
            found[name.upper()] = os.environ[name.upper()]
    return found
