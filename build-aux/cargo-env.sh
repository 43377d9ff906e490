# Sourced: what cargo must see, the same for building, linting and testing, so that nothing is built twice.
# shellcheck shell=bash

: "${FLAVOR:=vendored}" "${BUILD:=release}"

cargo_flags=()
# Somebody who changes a dependency wants Cargo.lock to follow; a build on trial doesn't.
[ -z "${CI:-}" ] || cargo_flags+=(--locked)

# Which nginx crate nginx-sys finds. A cdylib has one name for all features, so each flavour has a target directory.
nginx_environment() {
    # What makes Angie's headers readable for crate nginx-sys; of nginx's own it changes nothing.
    export BINDGEN_EXTRA_CLANG_ARGS="-include '$PWD/src/ngx/angie.h'"
    unset NGINX
    case $FLAVOR in
        system)
            export NGINX_SOURCE_DIR=$PWD/build/system/nginx-src
            export NGINX_BUILD_DIR=$NGINX_SOURCE_DIR/objs
            export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/system
            ;;
        source)
            export NGINX_SOURCE_DIR NGINX_BUILD_DIR=${NGINX_BUILD_DIR:-$NGINX_SOURCE_DIR/objs}
            export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/source
            ;;
        # A tree of nginx that called us: build-aux/addon has set these.
        tree) export NGINX_SOURCE_DIR NGINX_BUILD_DIR CARGO_TARGET_DIR ;;
        *) vendored_environment ;;
    esac
    # With debugging in mind the files are wanted where they are.
    [ "$BUILD" != release ] || reproducible_environment
}

vendored_environment() {
    unset NGINX_SOURCE_DIR NGINX_BUILD_DIR
    cargo_flags+=(--features vendored)
    # crate nginx-src adds --with-compat and --with-threads. The tests compare the module with what these do alone.
    local module
    NGX_CONFIGURE_ARGS=""
    for module in addition auth_request dav gunzip gzip_static realip secure_link slice ssl stub_status sub v2 v3; do
        NGX_CONFIGURE_ARGS+="--with-http_${module}_module "
    done
    [ "$BUILD" != debug ] || NGX_CONFIGURE_ARGS+=" --with-debug"
    export NGX_CONFIGURE_ARGS
}

# Leaves no path of this machine in what is built: the same source gives the same bytes in any directory, with any
# CARGO_HOME, from a clone as from a source archive. A debugger is told the places in a source archive that is
# unpacked to /usr/src.
reproducible_environment() {
    local place=/usr/src/ngx_http_redis_cache_module directory name
    local flags=()
    if [ -n "${CARGO_ENCODED_RUSTFLAGS:-}" ]; then
        IFS=$'\x1f' read -r -a flags <<<"$CARGO_ENCODED_RUSTFLAGS"
    else
        read -r -a flags <<<"${RUSTFLAGS:-}"
    fi

    # map DIRECTORY PLACE : of two that fit, rustc and the C compiler take the later.
    map() {
        local from
        from=$(realpath -m "$1")
        flags+=("--remap-path-prefix=$from=$2")
        # The C compiler's flags are parted at blanks.
        [[ $from == *[[:space:]]* ]] || export "$name=${!name} -ffile-prefix-map=$from=$2"
    }

    # What only crate cc reads: from a CFLAGS nginx's configure would conclude that all flags are in there.
    name=CFLAGS_$(rustc -vV | sed -n 's/^host: //p' | tr - _)
    # libzstd would look for hooks that the process may have; there are none for it.
    export "$name=${!name:-${CFLAGS:-}} -DZSTD_TRACE=0"
    # crates/, src/ and a source archive's vendor/
    map . "$place"
    # Their directory has a name of cargo's own, which is known once it is there.
    compgen -G "${CARGO_HOME:-$HOME/.cargo}/registry/src/*" >/dev/null || [ -d vendor ] || cargo fetch --quiet
    for directory in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
        map "$directory" "$place/vendor"
    done
    [ "$FLAVOR" = vendored ] || {
        map "$NGINX_SOURCE_DIR" /usr/src/nginx
        map "$NGINX_BUILD_DIR" /usr/src/nginx/objs
    }
    map "${CARGO_TARGET_DIR:-target}" "$place/target"

    CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && printf '%s' "${flags[*]}")
    export CARGO_ENCODED_RUSTFLAGS
}

# AddressSanitizer for nginx, the C shim and the Rust code. nginx is linked to the C compiler's run time, which
# serves the module as well. Stable Rust knows the option, but wants to be told that it may use it.
sanitize_environment() {
    export NGX_CFLAGS="-g -O1 -fsanitize=address -fno-omit-frame-pointer -DNGX_DEBUG_PALLOC=1"
    export NGX_LDFLAGS="-fsanitize=address"
    export TARGET_CFLAGS="-g -O1 -fsanitize=address -fno-omit-frame-pointer"
    export RUSTC_BOOTSTRAP=1
    export RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes"
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/sanitize
}
