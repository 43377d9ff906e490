/*
 * TLS as a client, by nginx's own OpenSSL: much of that is macros, and structures of nginx that differ between its
 * versions. Contexts (SSL_CTX) and sessions (SSL_SESSION) are plain pointers here. Where nginx was built without TLS
 * each function fails.
 */

#include <ngx_config.h>
#include <ngx_core.h>

ngx_uint_t rcs_tls_is_built(void);
ngx_uint_t rcs_tls_version(const u_char *name, size_t len);

/* while the configuration is read; what is wrong is logged, with the level emerg */

void *rcs_tls_create(ngx_conf_t *cf, ngx_uint_t versions, ngx_str_t *ciphers, ngx_uint_t reuse);
ngx_int_t rcs_tls_trust(ngx_conf_t *cf, void *ssl, ngx_str_t *file, ngx_int_t depth);
ngx_int_t rcs_tls_trust_system(void *ssl);
ngx_int_t rcs_tls_revoke(ngx_conf_t *cf, void *ssl, ngx_str_t *file);
ngx_int_t rcs_tls_certificate(ngx_conf_t *cf, void *ssl, ngx_str_t *file, ngx_str_t *key, ngx_str_t *passwords);
void *rcs_tls_hold(void *ssl);
void rcs_tls_release(void *context);

/* one connection */

ngx_int_t rcs_tls_begin(ngx_connection_t *c, void *context, const char *name, void *session,
    ngx_connection_handler_pt save);
ngx_int_t rcs_tls_handshake(ngx_connection_t *c);
ngx_uint_t rcs_tls_is_begun(const ngx_connection_t *c);
void rcs_tls_end(ngx_connection_t *c);
ngx_uint_t rcs_tls_reason(unsigned long code);

/* the server's certificate */

ngx_int_t rcs_tls_verdict(ngx_connection_t *c, const char **words);
ngx_int_t rcs_tls_check_host(ngx_connection_t *c, ngx_str_t *name);
ngx_int_t rcs_tls_check_ip(ngx_connection_t *c, const u_char *ip, size_t len);
size_t rcs_tls_names(ngx_connection_t *c, u_char *buf, size_t size);

/* sessions */

void *rcs_tls_session(ngx_connection_t *c);
void rcs_tls_free_session(void *session);
