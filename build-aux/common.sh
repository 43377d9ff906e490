# Sourced by the scripts beside it.
# shellcheck shell=bash

bold='' red='' plain=''
if [ -t 2 ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'
fi

heading() { printf '%s==> %s%s\n' "$bold" "$*" "$plain" >&2; }
note() { printf '    %s\n' "$*" >&2; }

fail() {
    printf '%serror:%s %s\n' "$red" "$plain" "$1" >&2
    shift
    local line
    for line; do note "$line"; done
    exit 1
}
