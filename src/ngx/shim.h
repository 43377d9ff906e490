/*
 * What bindgen cannot give: the bit fields of ngx_http_request_t.
 *
 * Since nginx 1.29.3 bindgen 0.72 lays them out wrongly, so Rust never touches them except through
 * these functions, which the C compiler builds against the headers of the nginx in use.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#define RCS_BIT(name)                                                         \
    ngx_uint_t rcs_get_##name(const ngx_http_request_t *r);                   \
    void rcs_set_##name(ngx_http_request_t *r, ngx_uint_t value);

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

/* bits of other structures, for the same reason */

void rcs_copy_port(ngx_http_request_t *to, const ngx_http_request_t *from);
ngx_uint_t rcs_has_body(const ngx_http_request_t *r);
void rcs_set_body_known(ngx_http_request_t *r, off_t length);
ngx_uint_t rcs_buf_in_memory(const ngx_buf_t *b);
ngx_uint_t rcs_buf_is_last(const ngx_buf_t *b);

/*
 * Whether bits that Rust has set by the generated accessors lie where C has them, and no
 * others are set. src/ngx/bits.rs sets the same.
 */
ngx_uint_t rcs_bits_agree(const ngx_connection_t *c, const ngx_event_t *e,
    const ngx_buf_t *b, const ngx_file_t *f, const ngx_http_variable_value_t *v);
