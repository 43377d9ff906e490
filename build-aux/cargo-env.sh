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
    if [ "$FLAVOR" = source ]; then
        export NGINX_SOURCE_DIR NGINX_BUILD_DIR=${NGINX_BUILD_DIR:-$NGINX_SOURCE_DIR/objs}
        export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/source
        return
    fi
    unset NGINX_SOURCE_DIR NGINX_BUILD_DIR
    if [ "$FLAVOR" = system ]; then
        export NGINX_SOURCE_DIR=$PWD/build/system/nginx-src
        export NGINX_BUILD_DIR=$NGINX_SOURCE_DIR/objs
        export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/system
        return
    fi
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
