#include "shim.h"

#undef RCS_BIT
#define RCS_BIT(name)                                                         \
    ngx_uint_t                                                                \
    rcs_get_##name(const ngx_http_request_t *r)                               \
    {                                                                         \
        return r->name;                                                       \
    }                                                                         \
                                                                              \
    void                                                                      \
    rcs_set_##name(ngx_http_request_t *r, ngx_uint_t value)                   \
    {                                                                         \
        r->name = (unsigned) value;                                           \
    }

RCS_BIT(count)
RCS_BIT(subrequests)
RCS_BIT(http_state)
RCS_BIT(add_uri_to_alias)
RCS_BIT(valid_location)
RCS_BIT(valid_unparsed_uri)
RCS_BIT(limit_conn_status)
RCS_BIT(limit_req_status)
RCS_BIT(header_only)
RCS_BIT(keepalive)
RCS_BIT(discard_body)
RCS_BIT(reading_body)
RCS_BIT(internal)
RCS_BIT(header_sent)
RCS_BIT(expect_tested)
RCS_BIT(logged)
RCS_BIT(done)
RCS_BIT(buffered)
RCS_BIT(filter_need_in_memory)
RCS_BIT(allow_ranges)
RCS_BIT(single_range)
RCS_BIT(disable_not_modified)
RCS_BIT(request_body_in_single_buf)
RCS_BIT(http_major)
RCS_BIT(http_minor)


ngx_uint_t
rcs_buf_in_memory(const ngx_buf_t *b)
{
    return ngx_buf_in_memory(b);
}


ngx_uint_t
rcs_buf_is_last(const ngx_buf_t *b)
{
    return b->last_buf || b->last_in_chain;
}


/* a body has come or is to come with the request */

ngx_uint_t
rcs_has_body(const ngx_http_request_t *r)
{
    if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {
        return 1;
    }

#if (NGX_HTTP_V2)
    if (r->stream && !r->stream->in_closed
        && r->headers_in.content_length_n == -1)
    {
        return 1;
    }
#endif

    return 0;
}


/* the body is in memory or in a file already, and this long */

void
rcs_set_body_known(ngx_http_request_t *r, off_t length)
{
    r->headers_in.content_length_n = length;
    r->headers_in.chunked = 0;
}


/* the port of the request's authority: behind the bit fields' trap since 1.29.3 */

void
rcs_copy_port(ngx_http_request_t *to, const ngx_http_request_t *from)
{
#if (nginx_version >= 1029003)
    to->port = from->port;
#else
    (void) to;
    (void) from;
#endif
}
