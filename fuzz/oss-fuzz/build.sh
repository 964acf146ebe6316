#!/bin/bash -eu
# Builds every target, with its seeds and the dictionary, as OSS-Fuzz and ClusterFuzzLite call it: in the repository's folder,
# with $OUT, and $SANITIZER as their images set it.
#
# To try it without their images:  OUT=/tmp/out SANITIZER=none fuzz/oss-fuzz/build.sh

mkdir -p "$OUT"
cargo +nightly fuzz build -O --debug-assertions --sanitizer "${SANITIZER:-none}"
built=$(dirname "$(find "${CARGO_TARGET_DIR:-fuzz/target}" -path '*-linux-gnu/release/decode' -type f | head -n 1)")

for target in $(cargo +nightly fuzz list); do
    # It needs the other decoder beside it.
    [[ $target != differential ]] || continue
    cp "$built/$target" "$OUT/"
    cp fuzz/dddns.dict "$OUT/$target.dict"
    if [[ -d fuzz/seeds/$target ]]; then
        rm -f "$OUT/${target}_seed_corpus.zip"
        (cd "fuzz/seeds/$target" && find . -type f | sort | zip --quiet -@ "$OUT/${target}_seed_corpus.zip")
    fi
done
