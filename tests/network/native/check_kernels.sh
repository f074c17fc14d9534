#!/usr/bin/env bash
# Compile the C++ kernels with check_kernels.cc and run it: under sanitizers, or for arm64 under qemu-user.
#
#   check_kernels.sh sanitizers    AddressSanitizer and UndefinedBehaviorSanitizer
#   check_kernels.sh arm64         needs aarch64-linux-gnu-g++ and qemu-aarch64
#   check_kernels.sh portable      this processor without its wide vectors
#
# calls.cc is compiled too, but only JAX can call it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kernels=$here/../../../fer_jax/network/native
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

cxx=${CXX:-g++} flags=(-O1) run=() rounds=${ROUNDS:-60}
case ${1:-} in
  sanitizers)
    flags+=(-march=native -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all)
    # Memory that cannot be had is one of the cases.
    export ASAN_OPTIONS=allocator_may_return_null=1:detect_stack_use_after_return=1 ;;
  arm64) cxx=aarch64-linux-gnu-g++ run=(qemu-aarch64) flags+=(-static) ;;
  portable) ;;
  *) echo "usage: $0 sanitizers|arm64|portable" >&2; exit 2 ;;
esac

# XLA's header belongs to jaxlib. Where there is none, the calls are left out.
sources=("$kernels"/{threads,winograd,strips,convolution,overlapping,strided,depthwise,pooling,batch_norm}.cc "$here/check_kernels.cc")
if include=$("${PYTHON:-python3}" -c 'import pathlib, jaxlib; print(pathlib.Path(jaxlib.__file__).parent / "include")' 2>/dev/null); then
  sources+=("$kernels/calls.cc")
fi
for source in "${sources[@]}"; do
  "$cxx" "${flags[@]}" -Wall -Wextra -Wno-unused-parameter -Wno-psabi -std=c++17 -I "$kernels" ${include:+-isystem "$include"} \
    -c "$source" -o "$out/$(basename "$source").o" &
  (($(jobs -rp | wc -l) < $(nproc))) || wait -n
done
while (($(jobs -rp | wc -l))); do wait -n; done
"$cxx" "${flags[@]}" "$out"/*.o -pthread -o "$out/check"
"${run[@]}" "$out/check" "$rounds"
