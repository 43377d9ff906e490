/*
 * Makes the headers of Angie look like those of nginx to crate nginx-sys, which reads them with bindgen: given to clang
 * by -include (BINDGEN_EXTRA_CLANG_ARGS). Of nginx's own headers nothing changes.
 *
 * Angie has put a mark of its own in the place of ngx_module_t's spare1, and the name of the source file before the
 * other arguments of ngx_log_error_core(). Rust's calls go to a function of the shim that adds that name.
 */

#if __has_include(<angie.h>)

#define angie_sign          spare1
#define ngx_log_error_core  ngx_angie_log_error_core

#include <ngx_config.h>
#include <ngx_core.h>

#undef ngx_log_error_core

void ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...) __asm__("rcs_log_error_core");

#endif
