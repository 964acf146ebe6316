#!/bin/bash -eu
# Builds every target, with its seeds and the dictionary, as OSS-Fuzz and ClusterFuzzLite call it: in the repository's folder,
# with $OUT, and $SANITIZER as their images set it.
#
# To try it without their images:  OUT=/tmp/out SANITIZER=none fuzz/oss-fuzz/build.sh

mkdir -p "$OUT"
# Their images say which compiler they have, and have no other one.
export RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN:-nightly}
cargo fuzz build -O --debug-assertions --sanitizer "${SANITIZER:-none}"
built=$(dirname "$(find "${CARGO_TARGET_DIR:-fuzz/target}" -path '*-linux-gnu/release/decode' -type f | head -n 1)")

# For a report of coverage their `cargo fuzz` is another one, which builds whatever it is asked and lists nothing.
for target in fuzz/fuzz_targets/*; do
    target=$(basename "$target" .rs)
    # It needs the other decoder beside it.
    [[ $target != differential ]] || continue
    cp "$built/$target" "$OUT/"
    cp fuzz/dddns.dict "$OUT/$target.dict"
    if [[ -d fuzz/seeds/$target ]]; then
        rm -f "$OUT/${target}_seed_corpus.zip"
        (cd "fuzz/seeds/$target" && find . -type f | sort | zip --quiet -@ "$OUT/${target}_seed_corpus.zip")
    fi
done
