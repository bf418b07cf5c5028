/* TLS as bytes in and bytes out: libssl between two memory buffers. */
#include "cdp/tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#define SLICE (16 * 1024) /* the plain bytes of a TLS record at the most (RFC 8446, 5.1) */

struct tls {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out; /* the wire; owned by ssl */
};

/* What libssl has to say, as one line. */
static int ssl_error(struct err *e, int code, const struct tls *t, const char *what)
{
    char text[256] = "";
    long verified = t && t->ssl ? SSL_get_verify_result(t->ssl) : X509_V_OK;
    unsigned long error = ERR_get_error();
    ERR_clear_error();
    if (verified != X509_V_OK)
        return err_set(
            e, code, "%s: the certificate: %s", what, X509_verify_cert_error_string(verified));
    if (error)
        ERR_error_string_n(error, text, sizeof text);
    const char *reason = error ? ERR_reason_error_string(error) : NULL;
    return err_set(e, code, "%s%s%s", what, error ? ": " : "", reason ? reason : text);
}

int tls_new(const char *name, struct tls **ret_tls, struct err *e)
{
    struct in6_addr address;
    struct tls *t = calloc(1, sizeof *t);
    bool literal =
        inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
    bool ok = t && (t->context = SSL_CTX_new(TLS_client_method())) &&
              SSL_CTX_set_min_proto_version(t->context, TLS1_2_VERSION) == 1 &&
              SSL_CTX_set_default_verify_paths(t->context) == 1 && (t->ssl = SSL_new(t->context));
    if (ok) {
        SSL_set_verify(t->ssl, SSL_VERIFY_PEER, NULL);
        ok = literal
                 ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), name) == 1
                 : SSL_set1_host(t->ssl, name) == 1 && SSL_set_tlsext_host_name(t->ssl, name) == 1;
        t->in = BIO_new(BIO_s_mem());
        t->out = BIO_new(BIO_s_mem());
        ok = ok && t->in && t->out;
    }
    if (!ok) {
        int rc = ssl_error(e, ERR_NOMEM, t, "TLS does not start");
        if (t) {
            BIO_free(t->in);
            BIO_free(t->out);
            t->in = t->out = NULL;
        }
        tls_free(t);
        return rc;
    }
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_connect_state(t->ssl);
    *ret_tls = t;
    return 0;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    SSL_CTX_free(t->context);
    free(t);
}

bool tls_ready(const struct tls *t)
{
    return SSL_is_init_finished(t->ssl) == 1;
}

/* Appends what libssl wants to say to the peer. */
static int drain(struct tls *t, struct buf *wire, struct err *e)
{
    size_t waiting;
    while ((waiting = BIO_ctrl_pending(t->out)) > 0) {
        int rc = buf_reserve(wire, waiting);
        if (rc)
            return err_set(
                e, rc, "%zu bytes wait to be sent and the target takes none", wire->length);
        int got = BIO_read(t->out, wire->data + wire->length, (int)waiting);
        if (got <= 0)
            return err_set(e, ERR_INTERNAL, "libssl's buffer gives nothing");
        wire->length += (size_t)got;
    }
    return 0;
}

int tls_receive(struct tls *t, const void *bytes, size_t length, struct buf *plain,
    struct buf *wire, struct err *e)
{
    int failure = tls_ready(t) ? ERR_LOST : ERR_UNREACHABLE;
    ERR_clear_error();
    if (length && BIO_write(t->in, bytes, (int)length) != (int)length)
        return ssl_error(e, ERR_NOMEM, t, "TLS has no memory");
    int got = SSL_is_init_finished(t->ssl) ? 1 : SSL_do_handshake(t->ssl);
    while (got > 0 && tls_ready(t)) {
        int rc = buf_reserve(plain, SLICE);
        if (rc)
            return err_set(e, rc, "no room for what came by TLS");
        got = SSL_read(t->ssl, plain->data + plain->length, SLICE);
        if (got > 0)
            plain->length += (size_t)got;
    }
    int rc = drain(t, wire, e); /* an alert too, when it failed */
    switch (SSL_get_error(t->ssl, got)) {
    case SSL_ERROR_NONE:
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_ZERO_RETURN: return rc; /* the socket's end follows */
    default: return ssl_error(e, failure, t, "TLS failed");
    }
}

int tls_send(struct tls *t, const void *bytes, size_t length, struct buf *wire, struct err *e)
{
    assert(tls_ready(t));
    for (size_t at = 0; at < length; at += SLICE) {
        size_t slice = length - at < SLICE ? length - at : SLICE;
        ERR_clear_error();
        if (SSL_write(t->ssl, (const char *)bytes + at, (int)slice) != (int)slice)
            return ssl_error(e, ERR_LOST, t, "TLS cannot send");
        int rc = drain(t, wire, e);
        if (rc)
            return rc;
    }
    return 0;
}

void tls_finish(struct tls *t, struct buf *wire)
{
    if (tls_ready(t))
        SSL_shutdown(t->ssl);
    int rc = drain(t, wire, NULL);
    (void)rc; /* the connection ends either way */
    ERR_clear_error();
}
