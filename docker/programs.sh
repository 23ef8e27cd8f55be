#!/bin/sh
# Puts the programs into a folder: compiled here (container), or those that lie in docker/programs/ (host).
# Usage, in the root of the checkout: docker/programs.sh container|host FOLDER
set -eu
from=$1 folder=$2
mkdir -p "$folder"
case $from in
host)
    for name in libmosquitto_ace.so ace-as ace-mqtt network-tests; do
        if [ ! -f "docker/programs/$name" ]; then
            echo "docker/programs/$name is missing: \`cargo xtask docker programs\` puts it there" >&2
            exit 1
        fi
        cp "docker/programs/$name" "$folder/"
    done
    ;;
container)
    cargo build --release --locked --package mosquitto-ace --package ace-as --package ace-mqtt
    cp target/release/libmosquitto_ace.so target/release/ace-as target/release/ace-mqtt "$folder/"
    # Cargo names the file after a hash: it says which.
    tests=$(cargo test --locked --test network --no-run --message-format json |
        sed -n 's/.*"executable":"\([^"]*\/network-[^"]*\)".*/\1/p' | tail -n 1)
    cp "$tests" "$folder/network-tests"
    strip --strip-debug "$folder/network-tests"
    # Half of the image's size would be what compiling leaves behind.
    rm -rf target
    ;;
*)
    echo "PROGRAMS is \"$from\": it must be container or host" >&2
    exit 1
    ;;
esac
chmod 755 "$folder"/*
