# Sourced: builds the module with cargo and says where things are.
# shellcheck shell=bash

messages=$(mktemp)
trap 'rm -f "$messages"' EXIT

# build_module FILE ARGUMENT... : cargo's arguments; the module is left in FILE.
build_module() {
    local file=$1 built
    shift
    # Its messages tell where things are: hashed directories of earlier builds may lie beside them.
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL cargo build "$@" \
        --message-format json-render-diagnostics >"$messages"
    built=$(cargo_said compiler-artifact '"kind":\["cdylib"\]' filenames)
    [ -f "$built" ] || fail "cargo didn't say where it left the module"
    replace "$built" "$file"
}

# cargo_said MESSAGE PATTERN FIELD : the last string under FIELD in cargo's messages that match PATTERN.
cargo_said() {
    sed -n "/\"reason\":\"$1\"/{/$2/s/.*\"$3\":\\[\\{0,1\\}\"\\([^\"]*\\)\".*/\\1/p}" "$messages" | tail -n 1
}

# replace FROM TO : running programs and loaded modules keep the old file; what hasn't changed keeps its time.
replace() {
    [ ! -L "$2" ] && cmp -s "$1" "$2" && return
    cp "$1" "$2.new" && mv -f "$2.new" "$2"
}
