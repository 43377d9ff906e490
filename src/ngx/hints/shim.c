#include "shim.h"

#ifdef RCS_EARLY_HINTS

/* looked up when the module is loaded: an nginx that has neither is to say itself that it is another version */

#pragma weak ngx_http_top_early_hints_filter
#pragma weak ngx_http_send_early_hints


/* Puts a filter in front of those of early hints. NULL if nginx has none, else what was first. */

rcs_hints_filter_t
rcs_put_hints_filter(rcs_hints_filter_t filter)
{
    rcs_hints_filter_t  next;

    if (&ngx_http_top_early_hints_filter == NULL) {
        return NULL;
    }

    next = ngx_http_top_early_hints_filter;
    ngx_http_top_early_hints_filter = filter;

    return next;
}


static ngx_int_t
rcs_set_hints(ngx_http_request_t *r, const rcs_line_t *lines, ngx_uint_t n)
{
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    if (ngx_list_init(&r->headers_out.headers, r->pool, n,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(h, sizeof(ngx_table_elt_t));

        h->key.len = lines[i].name_len;
        h->key.data = (u_char *) lines[i].name;
        h->value.len = lines[i].value_len;
        h->value.data = (u_char *) lines[i].value;

        h->lowcase_key = ngx_pnalloc(r->pool, h->key.len);
        if (h->lowcase_key == NULL) {
            return NGX_ERROR;
        }

        h->hash = ngx_hash_strlow(h->lowcase_key, h->key.data, h->key.len);
    }

    return NGX_OK;
}


/*
 * Sends a 103 to a client, if early_hints of its location says so. nginx's filters of early hints take all lines of
 * the response's header, and copy them: what the header has by now is put aside meanwhile.
 */

ngx_int_t
rcs_send_hints(ngx_http_request_t *r, const rcs_line_t *lines, ngx_uint_t n)
{
    ngx_int_t               rc;
    ngx_http_headers_out_t  header;

    if (&ngx_http_send_early_hints == NULL || n == 0 || r != r->main
        || r->header_sent)
    {
        return NGX_OK;
    }

    header = r->headers_out;

    rc = rcs_set_hints(r, lines, n);

    if (rc == NGX_OK) {
        rc = ngx_http_send_early_hints(r);
    }

    r->headers_out = header;

    return rc;
}

#else

rcs_hints_filter_t
rcs_put_hints_filter(rcs_hints_filter_t filter)
{
    (void) filter;
    return NULL;
}


ngx_int_t
rcs_send_hints(ngx_http_request_t *r, const rcs_line_t *lines, ngx_uint_t n)
{
    (void) r;
    (void) lines;
    (void) n;
    return NGX_OK;
}

#endif
