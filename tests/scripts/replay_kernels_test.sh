#!/usr/bin/env bash
# replay_kernels_test.sh OBJECT…: the objects of the replay kernels define nothing that the linker may take
# for another object's. A function that a header defines is emitted in each object that uses it, and one
# copy is kept: if that was compiled for AVX2, a machine without it dies in code that has nothing to do
# with replays.
set -euo pipefail
export LC_ALL=C

kernels=0
shared=
for object in "$@"; do
  case $object in
    */replay/kernels/*) ;;
    *) continue ;;
  esac
  kernels=$((kernels + 1))
  # Weak and unique symbols; a sanitizer's own are the same in every object.
  found=$(nm -C --defined-only "$object" | grep -E ' [WVu] ' | grep -vE 'asan|ubsan|tsan|__clang_call_terminate|DW\.ref' || true)
  [ -z "$found" ] || shared+="$object:"$'\n'"$found"$'\n'
done
[ "$kernels" -ge 2 ] || { echo "only $kernels kernels among the objects" >&2; exit 1; }
[ -z "$shared" ] || { printf 'shared with other objects:\n%s' "$shared" >&2; exit 1; }
