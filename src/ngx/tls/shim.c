#include "shim.h"
#include <ngx_event.h>

#if (NGX_SSL)

ngx_uint_t
rcs_tls_is_built(void)
{
    return 1;
}


/* the bit of a version as directives name it; 0: there is none of this name */

ngx_uint_t
rcs_tls_version(const u_char *name, size_t len)
{
    ngx_uint_t  i;

    static struct {
        ngx_str_t   name;
        ngx_uint_t  bit;
    } versions[] = {
        { ngx_string("SSLv3"), NGX_SSL_SSLv3 },
        { ngx_string("TLSv1"), NGX_SSL_TLSv1 },
        { ngx_string("TLSv1.1"), NGX_SSL_TLSv1_1 },
        { ngx_string("TLSv1.2"), NGX_SSL_TLSv1_2 },
        { ngx_string("TLSv1.3"), NGX_SSL_TLSv1_3 },
    };

    for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        if (versions[i].name.len == len
            && ngx_strncmp(versions[i].name.data, name, len) == 0)
        {
            return versions[i].bit;
        }
    }

    return 0;
}


/* a context that lives as long as the configuration, as a ngx_ssl_t */

void *
rcs_tls_create(ngx_conf_t *cf, ngx_uint_t versions, ngx_str_t *ciphers,
    ngx_uint_t reuse)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, versions, NULL) != NGX_OK) {
        return NULL;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    if (ngx_ssl_ciphers(cf, ssl, ciphers, 0) != NGX_OK) {
        return NULL;
    }

    if (ngx_ssl_client_session_cache(cf, ssl, reuse) != NGX_OK) {
        return NULL;
    }

    /* what wasn't sent is given again from another place, and a record at a time */
    SSL_CTX_set_mode(ssl->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE
                               |SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

    return ssl;
}


ngx_int_t
rcs_tls_trust(ngx_conf_t *cf, void *ssl, ngx_str_t *file, ngx_int_t depth)
{
    return ngx_ssl_trusted_certificate(cf, ssl, file, depth);
}


/* the authorities that the system trusts */

ngx_int_t
rcs_tls_trust_system(void *ssl)
{
    ngx_ssl_t  *s = ssl;

    if (SSL_CTX_set_default_verify_paths(s->ctx) == 0) {
        ngx_ssl_error(NGX_LOG_EMERG, s->log, 0,
                      "SSL_CTX_set_default_verify_paths() failed");
        return NGX_ERROR;
    }

    /* a system without such a file leaves an error behind */
    ERR_clear_error();

    return NGX_OK;
}


ngx_int_t
rcs_tls_revoke(ngx_conf_t *cf, void *ssl, ngx_str_t *file)
{
    return ngx_ssl_crl(cf, ssl, file);
}


ngx_int_t
rcs_tls_certificate(ngx_conf_t *cf, void *ssl, ngx_str_t *file, ngx_str_t *key,
    ngx_str_t *passwords)
{
    ngx_array_t  *words;

    words = NULL;

    if (passwords->len) {
        words = ngx_ssl_read_password_file(cf, passwords);
        if (words == NULL) {
            return NGX_ERROR;
        }
    }

    return ngx_ssl_certificate(cf, ssl, file, key, words);
}


/* the context for as long as the caller wants it */

void *
rcs_tls_hold(void *ssl)
{
    ngx_ssl_t  *s = ssl;

    SSL_CTX_up_ref(s->ctx);

    return s->ctx;
}


void
rcs_tls_release(void *context)
{
    SSL_CTX_free(context);
}


/* makes ready for the handshake; `name` is for the server, if it isn't NULL */

ngx_int_t
rcs_tls_begin(ngx_connection_t *c, void *context, const char *name,
    void *session, ngx_connection_handler_pt save)
{
    ngx_ssl_t  ssl;

    c->pool = ngx_create_pool(512, c->log);
    if (c->pool == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&ssl, sizeof(ngx_ssl_t));

    ssl.ctx = context;
    ssl.log = c->log;
    ssl.buffer_size = NGX_SSL_BUFSIZE;

    if (ngx_ssl_create_connection(&ssl, c, NGX_SSL_CLIENT) != NGX_OK) {
        return NGX_ERROR;
    }

    if (name
        && SSL_set_tlsext_host_name(c->ssl->connection, (char *) name) == 0)
    {
        ngx_ssl_error(NGX_LOG_INFO, c->log, 0,
                      "SSL_set_tlsext_host_name(\"%s\") failed", name);
        return NGX_ERROR;
    }

    /* without its session it's a handshake like the first */
    if (session) {
        (void) ngx_ssl_set_session(c, session);
    }

    c->ssl->save_session = save;

    return NGX_OK;
}


/* NGX_OK, NGX_AGAIN, NGX_ERROR; the handlers of both events may be others afterwards */

ngx_int_t
rcs_tls_handshake(ngx_connection_t *c)
{
    return ngx_ssl_handshake(c);
}


ngx_uint_t
rcs_tls_is_begun(const ngx_connection_t *c)
{
    return c->ssl != NULL;
}


/* says goodbye if that doesn't take waiting, and frees what belongs to TLS but the pool */

void
rcs_tls_end(ngx_connection_t *c)
{
    c->ssl->no_wait_shutdown = 1;

    if (ngx_ssl_shutdown(c) == NGX_AGAIN) {
        c->timedout = 1;
        (void) ngx_ssl_shutdown(c);
    }
}


ngx_uint_t
rcs_tls_reason(unsigned long code)
{
    return ERR_GET_REASON(code);
}


/* X509_V_OK or another X509_V_..., with OpenSSL's words */

ngx_int_t
rcs_tls_verdict(ngx_connection_t *c, const char **words)
{
    long   rc;
    X509  *cert;

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc == X509_V_OK) {
        cert = SSL_get_peer_certificate(c->ssl->connection);

        if (cert == NULL) {
            *words = "no certificate";
            return -1;
        }

        X509_free(cert);
    }

    *words = X509_verify_cert_error_string(rc);

    return rc;
}


ngx_int_t
rcs_tls_check_host(ngx_connection_t *c, ngx_str_t *name)
{
    return ngx_ssl_check_host(c, name);
}


ngx_int_t
rcs_tls_check_ip(ngx_connection_t *c, const u_char *ip, size_t len)
{
    int    rc;
    X509  *cert;

    cert = SSL_get_peer_certificate(c->ssl->connection);
    if (cert == NULL) {
        return NGX_ERROR;
    }

    rc = X509_check_ip(cert, ip, len, 0);

    X509_free(cert);

    return rc == 1 ? NGX_OK : NGX_ERROR;
}


/* the names and addresses of the server's certificate, else its common name; how many bytes that are */

size_t
rcs_tls_names(ngx_connection_t *c, u_char *buf, size_t size)
{
    int             i, n, len, common;
    u_char         *p, *last, text[NGX_INET6_ADDRSTRLEN];
    size_t          length;
    X509           *cert;
    ASN1_STRING    *str;
    GENERAL_NAME   *name;
    GENERAL_NAMES  *names;

    cert = SSL_get_peer_certificate(c->ssl->connection);
    if (cert == NULL) {
        return 0;
    }

    p = buf;
    last = buf + size;

    names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    n = names ? sk_GENERAL_NAME_num(names) : 0;

    for (i = 0; i < n; i++) {
        name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_DNS) {
            str = name->d.dNSName;
            p = ngx_slprintf(p, last, "%s%*s", p == buf ? "" : ", ",
                             (size_t) ASN1_STRING_length(str),
                             ASN1_STRING_get0_data(str));

        } else if (name->type == GEN_IPADD) {
            str = name->d.iPAddress;
            len = ASN1_STRING_length(str);

            if (len != 4 && len != 16) {
                continue;
            }

            length = ngx_inet_ntop(len == 4 ? AF_INET : AF_INET6,
                                   (void *) ASN1_STRING_get0_data(str), text,
                                   NGX_INET6_ADDRSTRLEN);
            p = ngx_slprintf(p, last, "%s%*s", p == buf ? "" : ", ", length,
                             text);
        }
    }

    if (names) {
        GENERAL_NAMES_free(names);
    }

    if (p == buf && size > 0) {
        common = X509_NAME_get_text_by_NID(X509_get_subject_name(cert),
                                           NID_commonName, (char *) buf,
                                           (int) size);
        if (common > 0) {
            p += ngx_min((size_t) common, size - 1);
        }
    }

    X509_free(cert);

    return p - buf;
}


/* a reference to the session of a connection, or to the one that has just come */

void *
rcs_tls_session(ngx_connection_t *c)
{
    return ngx_ssl_get_session(c);
}


void
rcs_tls_free_session(void *session)
{
    ngx_ssl_free_session(session);
}

#else

ngx_uint_t
rcs_tls_is_built(void)
{
    return 0;
}


ngx_uint_t
rcs_tls_version(const u_char *name, size_t len)
{
    (void) name;
    (void) len;
    return 0;
}


void *
rcs_tls_create(ngx_conf_t *cf, ngx_uint_t versions, ngx_str_t *ciphers,
    ngx_uint_t reuse)
{
    (void) cf;
    (void) versions;
    (void) ciphers;
    (void) reuse;
    return NULL;
}


ngx_int_t
rcs_tls_trust(ngx_conf_t *cf, void *ssl, ngx_str_t *file, ngx_int_t depth)
{
    (void) cf;
    (void) ssl;
    (void) file;
    (void) depth;
    return NGX_ERROR;
}


ngx_int_t
rcs_tls_trust_system(void *ssl)
{
    (void) ssl;
    return NGX_ERROR;
}


ngx_int_t
rcs_tls_revoke(ngx_conf_t *cf, void *ssl, ngx_str_t *file)
{
    (void) cf;
    (void) ssl;
    (void) file;
    return NGX_ERROR;
}


ngx_int_t
rcs_tls_certificate(ngx_conf_t *cf, void *ssl, ngx_str_t *file, ngx_str_t *key,
    ngx_str_t *passwords)
{
    (void) cf;
    (void) ssl;
    (void) file;
    (void) key;
    (void) passwords;
    return NGX_ERROR;
}


void *
rcs_tls_hold(void *ssl)
{
    (void) ssl;
    return NULL;
}


void
rcs_tls_release(void *context)
{
    (void) context;
}


ngx_int_t
rcs_tls_begin(ngx_connection_t *c, void *context, const char *name,
    void *session, ngx_connection_handler_pt save)
{
    (void) c;
    (void) context;
    (void) name;
    (void) session;
    (void) save;
    return NGX_ERROR;
}


ngx_int_t
rcs_tls_handshake(ngx_connection_t *c)
{
    (void) c;
    return NGX_ERROR;
}


ngx_uint_t
rcs_tls_is_begun(const ngx_connection_t *c)
{
    (void) c;
    return 0;
}


void
rcs_tls_end(ngx_connection_t *c)
{
    (void) c;
}


ngx_uint_t
rcs_tls_reason(unsigned long code)
{
    (void) code;
    return 0;
}


ngx_int_t
rcs_tls_verdict(ngx_connection_t *c, const char **words)
{
    (void) c;
    *words = "no certificate";
    return -1;
}


ngx_int_t
rcs_tls_check_host(ngx_connection_t *c, ngx_str_t *name)
{
    (void) c;
    (void) name;
    return NGX_ERROR;
}


ngx_int_t
rcs_tls_check_ip(ngx_connection_t *c, const u_char *ip, size_t len)
{
    (void) c;
    (void) ip;
    (void) len;
    return NGX_ERROR;
}


size_t
rcs_tls_names(ngx_connection_t *c, u_char *buf, size_t size)
{
    (void) c;
    (void) buf;
    (void) size;
    return 0;
}


void *
rcs_tls_session(ngx_connection_t *c)
{
    (void) c;
    return NULL;
}


void
rcs_tls_free_session(void *session)
{
    (void) session;
}

#endif
