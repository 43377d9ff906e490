#include "shim.h"

#define RCS_DEFINE(name)                                                      \
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

RCS_BITS(RCS_DEFINE)


ngx_uint_t
rcs_buf_in_memory(const ngx_buf_t *b)
{
    return ngx_buf_in_memory(b);
}


/* bytes in memory or file */

uint64_t
rcs_buf_size(const ngx_buf_t *b)
{
    return ngx_buf_size(b) > 0 ? (uint64_t) ngx_buf_size(b) : 0;
}


ngx_uint_t
rcs_buf_is_last(const ngx_buf_t *b)
{
    return b->last_buf || b->last_in_chain;
}


/* the name servers of a resolver: an array in nginx, a list in Angie */

static ngx_inline ngx_uint_t
rcs_is_filled(const void *array)
{
    return ((const ngx_array_t *) array)->nelts > 0;
}


static ngx_inline ngx_uint_t
rcs_is_set(const void *pointer)
{
    return *(void *const *) pointer != NULL;
}


/* nginx itself puts a resolver without name servers where none is configured */

ngx_uint_t
rcs_has_name_servers(const ngx_resolver_t *resolver)
{
    if (resolver == NULL) {
        return 0;
    }

    return _Generic(((ngx_resolver_t *) resolver)->connections,
                    ngx_array_t: rcs_is_filled,
                    default: rcs_is_set)(&resolver->connections);
}


/* a worker that shuts down doesn't wait for the question; set before it is asked */

void
rcs_set_resolver_cancelable(ngx_resolver_ctx_t *ctx)
{
    ctx->cancelable = 1;
}


/* a block within a location: if, limit_except */

ngx_uint_t
rcs_is_nameless(const ngx_http_core_loc_conf_t *conf)
{
    return conf->noname;
}


/* a body has come or is to come with the request */

ngx_uint_t
rcs_announces_body(const ngx_http_request_t *r)
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


/* the request is a stream of HTTP/2 or HTTP/3 */

ngx_uint_t
rcs_is_stream(const ngx_http_request_t *r)
{
    if (r->stream != NULL) {
        return 1;
    }

#if (nginx_version >= 1025000 && (NGX_QUIC || NGX_COMPAT))
    return r->connection->quic != NULL;
#else
    return 0;
#endif
}


/* the body has been read, or is thrown away */

ngx_uint_t
rcs_is_body_read(const ngx_http_request_t *r)
{
    return r->request_body != NULL || r->discard_body;
}


/* the response comes from nginx's own cache */

ngx_uint_t
rcs_is_cached(const ngx_http_request_t *r)
{
#if (NGX_HTTP_CACHE)
    return r->cache != NULL && r->cached;
#else
    (void) r;
    return 0;
#endif
}


/* nginx adds a Vary for gzip's sake, if gzip_vary says so */

ngx_uint_t
rcs_has_gzip_vary(const ngx_http_request_t *r)
{
#if (NGX_HTTP_GZIP)
    return r->gzip_vary;
#else
    (void) r;
    return 0;
#endif
}


/* no Vary is added for gzip's sake */

void
rcs_clear_gzip_vary(ngx_http_request_t *r)
{
#if (NGX_HTTP_GZIP)
    r->gzip_vary = 0;
#else
    (void) r;
#endif
}


/* the client's connection is encrypted */

ngx_uint_t
rcs_is_https(const ngx_http_request_t *r)
{
#if (NGX_HTTP_SSL)
    return r->connection->ssl != NULL;
#else
    (void) r;
    return 0;
#endif
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


#if (nginx_version < 1023000)

/* fields that may come several times: arrays until 1.23, lists of lines since */

static ngx_int_t
rcs_is_array(ngx_uint_t offset)
{
#if (NGX_HTTP_X_FORWARDED_FOR)
    if (offset == offsetof(ngx_http_headers_in_t, x_forwarded_for)) {
        return 1;
    }
#endif

    return offset == offsetof(ngx_http_headers_in_t, cookies);
}


static ngx_int_t
rcs_know_header_again(ngx_http_request_t *r, ngx_array_t *lines,
    ngx_table_elt_t *h)
{
    ngx_table_elt_t  **place;

    if (lines->elts == NULL
        && ngx_array_init(lines, r->pool, 1, sizeof(ngx_table_elt_t *))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    place = ngx_array_push(lines);
    if (place == NULL) {
        return NGX_ERROR;
    }

    *place = h;

    return NGX_OK;
}

#endif


/*
 * Makes a line known as that of its field, as nginx's handlers of header lines do. They themselves may finalize a
 * request, so they aren't called: the line was read before, and what it means for the request was decided then.
 */

ngx_int_t
rcs_know_header(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    ngx_http_header_t           *hh;
    ngx_table_elt_t            **ph;
    ngx_http_core_main_conf_t   *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    hh = ngx_hash_find(&cmcf->headers_in_hash, h->hash, h->lowcase_key,
                       h->key.len);

    if (hh == NULL || hh->handler == NULL) {
        return NGX_OK;
    }

    ph = (ngx_table_elt_t **) ((char *) &r->headers_in + hh->offset);

#if (nginx_version < 1023000)

    if (rcs_is_array(hh->offset)) {
        return rcs_know_header_again(r, (ngx_array_t *) ph, h);
    }

    if (*ph == NULL) {
        *ph = h;
    }

#else

    if (ph == &r->headers_in.host && *ph) {
        /* of two hosts the first is known: nginx has refused the other */
        return NGX_OK;
    }

    while (*ph) {
        ph = &(*ph)->next;
    }

    *ph = h;
    h->next = NULL;

#endif

    return NGX_OK;
}


/* what nginx has read off User-Agent */

void
rcs_copy_browser(ngx_http_request_t *to, const ngx_http_request_t *from)
{
    to->headers_in.msie = from->headers_in.msie;
    to->headers_in.msie6 = from->headers_in.msie6;
    to->headers_in.opera = from->headers_in.opera;
    to->headers_in.gecko = from->headers_in.gecko;
    to->headers_in.chrome = from->headers_in.chrome;
    to->headers_in.safari = from->headers_in.safari;
    to->headers_in.konqueror = from->headers_in.konqueror;
}


ngx_uint_t
rcs_bits_agree(const ngx_connection_t *c, const ngx_event_t *e,
    const ngx_buf_t *b, const ngx_file_t *f, const ngx_http_variable_value_t *v,
    const ngx_url_t *u)
{
    ngx_url_t                  url;
    ngx_buf_t                  buf;
    ngx_file_t                 file;
    ngx_event_t                event;
    ngx_connection_t           connection;
    ngx_http_variable_value_t  value;

    ngx_memzero(&connection, sizeof(ngx_connection_t));
    connection.buffered = 0x10;
    connection.log_error = 3;
    connection.timedout = 1;
    connection.error = 1;
    connection.close = 1;
    connection.shared = 1;
    connection.tcp_nodelay = 2;
    connection.tcp_nopush = 2;

    ngx_memzero(&event, sizeof(ngx_event_t));
    event.write = 1;
    event.active = 1;
    event.ready = 1;
    event.eof = 1;
    event.pending_eof = 1;
    event.timedout = 1;
    event.timer_set = 1;
    event.delayed = 1;
    event.posted = 1;
    event.channel = 1;
    event.cancelable = 1;

    ngx_memzero(&buf, sizeof(ngx_buf_t));
    buf.memory = 1;
    buf.in_file = 1;
    buf.recycled = 1;
    buf.flush = 1;
    buf.sync = 1;
    buf.last_buf = 1;
    buf.last_in_chain = 1;

    ngx_memzero(&file, sizeof(ngx_file_t));
    file.directio = 1;

    ngx_memzero(&value, sizeof(ngx_http_variable_value_t));
    value.len = 5;
    value.valid = 1;
    value.no_cacheable = 1;
    value.not_found = 1;

    ngx_memzero(&url, sizeof(ngx_url_t));
    url.no_resolve = 1;

    return ngx_memcmp(c, &connection, sizeof(ngx_connection_t)) == 0
           && ngx_memcmp(e, &event, sizeof(ngx_event_t)) == 0
           && ngx_memcmp(b, &buf, sizeof(ngx_buf_t)) == 0
           && ngx_memcmp(f, &file, sizeof(ngx_file_t)) == 0
           && ngx_memcmp(v, &value, sizeof(ngx_http_variable_value_t)) == 0
           && ngx_memcmp(u, &url, sizeof(ngx_url_t)) == 0;
}


/*
 * What nginx's modules for access keep of a location, as far as it says whether there are rules: the beginning of
 * ngx_http_access_loc_conf_t, ngx_http_auth_basic_loc_conf_t and ngx_http_auth_request_conf_t.
 */

typedef struct {
    ngx_array_t  *rules;
#if (NGX_HAVE_INET6)
    ngx_array_t  *rules6;
#endif
#if (NGX_HAVE_UNIX_DOMAIN)
    ngx_array_t  *rules_un;
#endif
} rcs_access_conf_t;


typedef struct {
    void         *realm;
} rcs_auth_basic_conf_t;


typedef struct {
    ngx_str_t     uri;
} rcs_auth_request_conf_t;


ngx_uint_t
rcs_has_access_rules(ngx_conf_t *cf)
{
    ngx_uint_t                i, found;
    ngx_module_t             *module;
    ngx_http_conf_ctx_t      *ctx;
    rcs_access_conf_t        *access;
    rcs_auth_basic_conf_t    *basic;
    rcs_auth_request_conf_t  *request;

    ctx = cf->ctx;
    found = 0;

    for (i = 0; cf->cycle->modules[i]; i++) {
        module = cf->cycle->modules[i];

        if (module->type != NGX_HTTP_MODULE || module->name == NULL
            || ctx->loc_conf[module->ctx_index] == NULL)
        {
            continue;
        }

        if (ngx_strcmp(module->name, "ngx_http_access_module") == 0) {
            access = ctx->loc_conf[module->ctx_index];

            found |= (access->rules != NULL);
#if (NGX_HAVE_INET6)
            found |= (access->rules6 != NULL);
#endif
#if (NGX_HAVE_UNIX_DOMAIN)
            found |= (access->rules_un != NULL);
#endif

        } else if (ngx_strcmp(module->name, "ngx_http_auth_basic_module") == 0)
        {
            basic = ctx->loc_conf[module->ctx_index];
            found |= (basic->realm != NULL
                      && basic->realm != NGX_CONF_UNSET_PTR);

        } else if (ngx_strcmp(module->name, "ngx_http_auth_request_module")
                   == 0)
        {
            request = ctx->loc_conf[module->ctx_index];
            found |= (request->uri.len != 0);
        }
    }

    return found;
}
