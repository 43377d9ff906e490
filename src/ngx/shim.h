/*
 * What bindgen cannot give: the bit fields of ngx_http_request_t.
 *
 * Since nginx 1.29.3 bindgen 0.72 lays them out wrongly, so Rust never touches them except through
 * these functions, which the C compiler builds against the headers of the nginx in use.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

/* every bit that the module reads or writes */

#define RCS_BITS(bit) \
    bit(add_uri_to_alias) \
    bit(valid_location) \
    bit(valid_unparsed_uri) \
    bit(limit_conn_status) \
    bit(limit_req_status) \
    bit(header_only) \
    bit(keepalive) \
    bit(limit_rate_set) \
    bit(internal) \
    bit(header_sent) \
    bit(expect_tested) \
    bit(logged) \
    bit(post_action) \
    bit(uri_changes) \
    bit(buffered) \
    bit(realloc_captures) \
    bit(filter_need_in_memory) \
    bit(allow_ranges) \
    bit(single_range) \
    bit(disable_not_modified) \
    bit(count) \
    bit(http_major) \
    bit(http_minor)

#define RCS_DECLARE(name)                                                     \
    ngx_uint_t rcs_get_##name(const ngx_http_request_t *r);                   \
    void rcs_set_##name(ngx_http_request_t *r, ngx_uint_t value);

RCS_BITS(RCS_DECLARE)

/* bits of other structures, for the same reason */

void rcs_copy_port(ngx_http_request_t *to, const ngx_http_request_t *from);
ngx_int_t rcs_know_header(ngx_http_request_t *r, ngx_table_elt_t *h);
void rcs_copy_browser(ngx_http_request_t *to, const ngx_http_request_t *from);
ngx_uint_t rcs_has_gzip_vary(const ngx_http_request_t *r);
void rcs_clear_gzip_vary(ngx_http_request_t *r);
ngx_uint_t rcs_announces_body(const ngx_http_request_t *r);
ngx_uint_t rcs_is_body_read(const ngx_http_request_t *r);
ngx_uint_t rcs_is_cached(const ngx_http_request_t *r);
ngx_uint_t rcs_is_stream(const ngx_http_request_t *r);
ngx_uint_t rcs_is_https(const ngx_http_request_t *r);
void rcs_set_body_known(ngx_http_request_t *r, off_t length);
ngx_uint_t rcs_is_nameless(const ngx_http_core_loc_conf_t *conf);
ngx_uint_t rcs_has_access_rules(ngx_conf_t *cf);
ngx_uint_t rcs_buf_in_memory(const ngx_buf_t *b);
uint64_t rcs_buf_size(const ngx_buf_t *b);
ngx_uint_t rcs_buf_is_last(const ngx_buf_t *b);
ngx_uint_t rcs_has_name_servers(const ngx_resolver_t *resolver);
void rcs_set_resolver_cancelable(ngx_resolver_ctx_t *ctx);

/*
 * Whether bits that Rust has set by the generated accessors lie where C has them, and no
 * others are set. src/ngx/bit_fields.rs sets the same.
 */
ngx_uint_t rcs_bits_agree(const ngx_connection_t *c, const ngx_event_t *e,
    const ngx_buf_t *b, const ngx_file_t *f, const ngx_http_variable_value_t *v,
    const ngx_url_t *u);
