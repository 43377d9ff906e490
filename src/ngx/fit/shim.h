/*
 * Which nginx the module is built against, and whether the one that has loaded it lays its structures out the same.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

/* what ngx_module_t must say of itself */

#ifdef ngx_angie_sign
static const ngx_uint_t RCS_MODULE_VERSION = angie_version;
static const ngx_uint_t RCS_MODULE_SIGN = ngx_angie_sign;
#else
static const ngx_uint_t RCS_MODULE_VERSION = nginx_version;
static const ngx_uint_t RCS_MODULE_SIGN = 0;
#endif

/* a field that lies elsewhere: what was found at run time, and what the headers say, in bytes */

typedef struct {
    const char  *structure;
    const char  *field;
    ngx_uint_t   found;
    ngx_uint_t   built;
} rcs_misfit_t;

ngx_uint_t rcs_is_misfit_of_tables(ngx_conf_t *cf, rcs_misfit_t *misfit);
ngx_uint_t rcs_is_misfit_of_upstream(ngx_conf_t *cf, rcs_misfit_t *misfit);
ngx_uint_t rcs_is_misfit_of_cycle(const ngx_cycle_t *cycle,
    rcs_misfit_t *misfit);
