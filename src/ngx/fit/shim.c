/*
 * Whether the nginx that has loaded the module lays its structures out as the headers say that the module was built
 * against.
 *
 * nginx compares its version and a signature of the options that it was configured with. Neither tells nginx from a
 * fork of the same version, nor a source that was patched. But nginx's own tables say where it has its fields: those
 * of directives, variables and header lines hold offsets. A field that is in front of one of them shifts it.
 */

#include "shim.h"


/* a name in a table of nginx, and where the field that it stands for is in the headers */

typedef struct {
    const char  *name;
    const char  *field;
    ngx_uint_t   offset;
} rcs_place_t;

#define RCS_END  { NULL, NULL, 0 }


/* directives and their fields */

#define RCS_CORE(name, field)                                                 \
    { name, #field, offsetof(ngx_core_conf_t, field) }

static const rcs_place_t  rcs_core[] = {
    RCS_CORE("master_process", master),
    RCS_CORE("timer_resolution", timer_resolution),
    RCS_CORE("worker_shutdown_timeout", shutdown_timeout),
    RCS_CORE("worker_rlimit_core", rlimit_core),
    RCS_CORE("working_directory", working_directory),
    RCS_CORE("pid", pid),
    RCS_END
};

#define RCS_MAIN(field)                                                       \
    { #field, #field, offsetof(ngx_http_core_main_conf_t, field) }

static const rcs_place_t  rcs_main[] = {
    RCS_MAIN(server_names_hash_max_size),
    RCS_MAIN(variables_hash_max_size),
    RCS_MAIN(variables_hash_bucket_size),
    RCS_END
};

#define RCS_SERVER(field)                                                     \
    { #field, #field, offsetof(ngx_http_core_srv_conf_t, field) }

static const rcs_place_t  rcs_server[] = {
    RCS_SERVER(connection_pool_size),
    RCS_SERVER(request_pool_size),
    RCS_SERVER(client_header_timeout),
    RCS_SERVER(merge_slashes),
    RCS_SERVER(underscores_in_headers),
    RCS_END
};

#define RCS_LOCATION(field)                                                   \
    { #field, #field, offsetof(ngx_http_core_loc_conf_t, field) }

static const rcs_place_t  rcs_location[] = {
    RCS_LOCATION(default_type),
    RCS_LOCATION(client_max_body_size),
    RCS_LOCATION(client_body_buffer_size),
    RCS_LOCATION(send_timeout),
    RCS_LOCATION(lingering_timeout),
    RCS_LOCATION(resolver_timeout),
    RCS_LOCATION(auth_delay),
    RCS_LOCATION(satisfy),
    RCS_LOCATION(keepalive_requests),
    RCS_LOCATION(tcp_nodelay),
    RCS_LOCATION(reset_timedout_connection),
    RCS_LOCATION(absolute_redirect),
    RCS_LOCATION(recursive_error_pages),
    RCS_LOCATION(chunked_transfer_encoding),
    RCS_LOCATION(etag),
    RCS_LOCATION(open_file_cache_errors),
    RCS_LOCATION(types_hash_bucket_size),
    RCS_END
};

/* the upstream's configuration is what that of proxy begins with */

#define RCS_UPSTREAM(name, field)                                             \
    { name, #field, offsetof(ngx_http_upstream_conf_t, field) }

static const rcs_place_t  rcs_upstream[] = {
    RCS_UPSTREAM("proxy_connect_timeout", connect_timeout),
    RCS_UPSTREAM("proxy_read_timeout", read_timeout),
    RCS_UPSTREAM("proxy_send_lowat", send_lowat),
    RCS_UPSTREAM("proxy_buffer_size", buffer_size),
    RCS_UPSTREAM("proxy_ignore_headers", ignore_headers),
    RCS_UPSTREAM("proxy_store_access", store_access),
    RCS_UPSTREAM("proxy_buffering", buffering),
    RCS_UPSTREAM("proxy_request_buffering", request_buffering),
    RCS_UPSTREAM("proxy_pass_request_body", pass_request_body),
    RCS_UPSTREAM("proxy_ignore_client_abort", ignore_client_abort),
    RCS_UPSTREAM("proxy_intercept_errors", intercept_errors),
    RCS_UPSTREAM("proxy_hide_header", hide_headers),
    RCS_END
};


/* variables that are a field of the request */

#define RCS_REQUEST(name, field)                                              \
    { name, #field, offsetof(ngx_http_request_t, field) }

static const rcs_place_t  rcs_request[] = {
    RCS_REQUEST("http_host", headers_in.host),
    RCS_REQUEST("http_user_agent", headers_in.user_agent),
    RCS_REQUEST("content_type", headers_in.content_type),
    RCS_REQUEST("uri", uri),
    RCS_REQUEST("args", args),
    RCS_REQUEST("request_uri", unparsed_uri),
    RCS_REQUEST("server_protocol", http_protocol),
    RCS_END
};


/* header lines of requests */

#define RCS_IN(name, field)                                                   \
    { name, #field, offsetof(ngx_http_headers_in_t, field) }

static const rcs_place_t  rcs_headers_in[] = {
    RCS_IN("Host", host),
    RCS_IN("Connection", connection),
    RCS_IN("If-Modified-Since", if_modified_since),
    RCS_IN("If-None-Match", if_none_match),
    RCS_IN("User-Agent", user_agent),
    RCS_IN("Content-Length", content_length),
    RCS_IN("Range", range),
    RCS_IN("If-Range", if_range),
    RCS_IN("Transfer-Encoding", transfer_encoding),
    RCS_IN("Expect", expect),
    RCS_IN("Upgrade", upgrade),
#if (NGX_HTTP_GZIP || NGX_HTTP_HEADERS)
    RCS_IN("Accept-Encoding", accept_encoding),
#endif
    RCS_IN("Authorization", authorization),
    RCS_IN("Keep-Alive", keep_alive),
#if (nginx_version >= 1023000)
    RCS_IN("Cookie", cookie),
#else
    RCS_IN("Cookie", cookies),
#endif
    RCS_END
};


/* header lines of backends, and those of responses that they become */

#define RCS_FROM(name, field)                                                 \
    { name, #field, offsetof(ngx_http_upstream_headers_in_t, field) }

static const rcs_place_t  rcs_upstream_headers[] = {
    RCS_FROM("status", status),
    RCS_FROM("date", date),
    RCS_FROM("server", server),
    RCS_FROM("location", location),
    RCS_FROM("etag", etag),
    RCS_FROM("x-accel-redirect", x_accel_redirect),
    RCS_FROM("x-accel-limit-rate", x_accel_limit_rate),
    RCS_END
};

#define RCS_OUT(name, field)                                                  \
    { name, #field, offsetof(ngx_http_headers_out_t, field) }

static const rcs_place_t  rcs_headers_out[] = {
    RCS_OUT("server", server),
    RCS_OUT("date", date),
    RCS_OUT("etag", etag),
    RCS_OUT("expires", expires),
    RCS_END
};


static ngx_uint_t
rcs_differs(rcs_misfit_t *misfit, const char *structure,
    const rcs_place_t *place, ngx_uint_t found)
{
    /* 0: the table has a function there instead, or it is the first field */

    if (found == 0 || place->offset == 0 || found == place->offset) {
        return 0;
    }

    misfit->structure = structure;
    misfit->field = place->field;
    misfit->found = found;
    misfit->built = place->offset;

    return 1;
}


static const ngx_command_t *
rcs_directive(const ngx_module_t *module, const char *name)
{
    const ngx_command_t  *cmd;

    for (cmd = module->commands; cmd && cmd->name.len; cmd++) {
        if (cmd->name.len == ngx_strlen(name)
            && ngx_strncmp(cmd->name.data, name, cmd->name.len) == 0)
        {
            return cmd;
        }
    }

    return NULL;
}


static ngx_uint_t
rcs_is_misfit_of_directives(const ngx_module_t *module, const char *structure,
    const rcs_place_t *place, rcs_misfit_t *misfit)
{
    const ngx_command_t  *cmd;

    for ( /* void */ ; place->name; place++) {
        cmd = rcs_directive(module, place->name);

        if (cmd && rcs_differs(misfit, structure, place, cmd->offset)) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
rcs_is_misfit_of_variables(ngx_conf_t *cf, rcs_misfit_t *misfit)
{
    ngx_uint_t                  i;
    ngx_hash_key_t             *key;
    const rcs_place_t          *place;
    ngx_http_variable_t        *variable;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    key = cmcf->variables_keys->keys.elts;

    for (i = 0; i < cmcf->variables_keys->keys.nelts; i++) {
        variable = key[i].value;

        for (place = rcs_request; place->name; place++) {
            if (key[i].key.len == ngx_strlen(place->name)
                && ngx_strncmp(key[i].key.data, place->name, key[i].key.len)
                   == 0
                && rcs_differs(misfit, "ngx_http_request_t", place,
                               variable->data))
            {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_uint_t
rcs_is_misfit_of_headers_in(rcs_misfit_t *misfit)
{
    ngx_http_header_t  *line;
    const rcs_place_t  *place;

    for (line = ngx_http_headers_in; line->name.len; line++) {
        for (place = rcs_headers_in; place->name; place++) {
            if (line->name.len == ngx_strlen(place->name)
                && ngx_strncmp(line->name.data, place->name, line->name.len)
                   == 0
                && rcs_differs(misfit, "ngx_http_headers_in_t", place,
                               line->offset))
            {
                return 1;
            }
        }
    }

    return 0;
}


/* while the configuration is read, after ngx_http_core_module has added its variables */

ngx_uint_t
rcs_is_misfit_of_tables(ngx_conf_t *cf, rcs_misfit_t *misfit)
{
    ngx_uint_t     i;
    ngx_pool_t    *pool;
    ngx_module_t  *module;

    static const rcs_place_t  end = { "", "its end", sizeof(ngx_pool_t) };

    pool = ngx_create_pool(NGX_MIN_POOL_SIZE, cf->log);
    if (pool) {
        i = pool->d.last - (u_char *) pool;
        ngx_destroy_pool(pool);

        if (rcs_differs(misfit, "ngx_pool_t", &end, i)) {
            return 1;
        }
    }

    if (rcs_is_misfit_of_headers_in(misfit)
        || rcs_is_misfit_of_directives(&ngx_core_module, "ngx_core_conf_t",
                                       rcs_core, misfit)
        || rcs_is_misfit_of_directives(&ngx_http_core_module,
                                       "ngx_http_core_main_conf_t", rcs_main,
                                       misfit)
        || rcs_is_misfit_of_directives(&ngx_http_core_module,
                                       "ngx_http_core_srv_conf_t", rcs_server,
                                       misfit)
        || rcs_is_misfit_of_directives(&ngx_http_core_module,
                                       "ngx_http_core_loc_conf_t",
                                       rcs_location, misfit)
        || rcs_is_misfit_of_variables(cf, misfit))
    {
        return 1;
    }

    for (i = 0; cf->cycle->modules[i]; i++) {
        module = cf->cycle->modules[i];

        if (ngx_strcmp(module->name, "ngx_http_proxy_module") == 0) {
            return rcs_is_misfit_of_directives(module,
                                               "ngx_http_upstream_conf_t",
                                               rcs_upstream, misfit);
        }
    }

    return 0;
}


static ngx_uint_t
rcs_is_misfit_of_lines(ngx_hash_t *lines, const rcs_place_t *place,
    ngx_uint_t is_out, rcs_misfit_t *misfit)
{
    size_t                       len;
    ngx_http_upstream_header_t  *line;

    for ( /* void */ ; place->name; place++) {
        len = ngx_strlen(place->name);
        line = ngx_hash_find(lines,
                             ngx_hash_key((u_char *) place->name, len),
                             (u_char *) place->name, len);
        if (line == NULL) {
            continue;
        }

        if (is_out ? rcs_differs(misfit, "ngx_http_headers_out_t", place,
                                 line->conf)
                   : rcs_differs(misfit, "ngx_http_upstream_headers_in_t",
                                 place, line->offset))
        {
            return 1;
        }
    }

    return 0;
}


/* once the configuration was read: ngx_http_upstream_module has its table then */

ngx_uint_t
rcs_is_misfit_of_upstream(ngx_conf_t *cf, rcs_misfit_t *misfit)
{
    ngx_http_upstream_main_conf_t  *umcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);

    return rcs_is_misfit_of_lines(&umcf->headers_in_hash, rcs_upstream_headers,
                                  0, misfit)
           || rcs_is_misfit_of_lines(&umcf->headers_in_hash, rcs_headers_out,
                                     1, misfit);
}


/* in a worker, whose connections and their events are arrays by now */

ngx_uint_t
rcs_is_misfit_of_cycle(const ngx_cycle_t *cycle, rcs_misfit_t *misfit)
{
    if (cycle->connection_n < 2
        || (cycle->connections[1].read == &cycle->read_events[1]
            && cycle->connections[1].write == &cycle->write_events[1]))
    {
        return 0;
    }

    misfit->structure = "ngx_connection_t";
    misfit->field = "its end";
    misfit->found = 0;
    misfit->built = sizeof(ngx_connection_t);

    return 1;
}


#ifdef ngx_angie_sign

/* see angie.h */

void rcs_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...);


void
rcs_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    u_char   *last;
    va_list   args;
    u_char    text[NGX_MAX_ERROR_STR];

    va_start(args, fmt);
    last = ngx_vslprintf(text, text + NGX_MAX_ERROR_STR, fmt, args);
    va_end(args);

    ngx_log_error_core(level, log, "ngx_http_redis_cache_module", err, "%*s",
                       (size_t) (last - text), text);
}

#endif
