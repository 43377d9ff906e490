/* 103 (Early Hints): from nginx 1.29.0 on */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

/* a header line */

typedef struct {
    const u_char  *name;
    size_t         name_len;
    const u_char  *value;
    size_t         value_len;
} rcs_line_t;

typedef ngx_int_t (*rcs_hints_filter_t)(ngx_http_request_t *r);

rcs_hints_filter_t rcs_put_hints_filter(rcs_hints_filter_t filter);
ngx_int_t rcs_send_hints(ngx_http_request_t *r, const rcs_line_t *lines,
    ngx_uint_t n);
