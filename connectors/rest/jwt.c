#include "connectors/rest/jwt.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"

#define PART_MAX ((size_t)64 << 10)
#define KEY_BITS 2048 /* at least: shorter ones are broken */

DEFINE_CLEANUP(EVP_PKEY *, pkey_cleanup, EVP_PKEY_free);
DEFINE_CLEANUP(EVP_MD_CTX *, context_cleanup, EVP_MD_CTX_free);

/* Base64 with the alphabet of addresses and without padding. */
static void put_base64url(struct buf *out, const void *bytes, size_t n)
{
    size_t from = out->len;

    text_put_base64(out, bytes, n);
    for (size_t i = from; i < out->len; i++) {
        char *c = &out->data[i];

        *c = (char)(*c == '+' ? '-' : *c == '/' ? '_' : *c);
    }
    while (out->len > from && out->data[out->len - 1] == '=')
        out->len--;
}

static void put_head(struct buf *out, const struct jwt_claims *c)
{
    CLEANUP(buf_release) struct buf json = BUF_INIT(PART_MAX);
    struct jsonw w = JSONW_INIT(&json);

    jsonw_object(&w);
    jsonw_put_string(&w, "alg", "RS256");
    jsonw_put_string(&w, "typ", "JWT");
    if (c->key_id)
        jsonw_put_string(&w, "kid", c->key_id);
    jsonw_object_end(&w);
    put_base64url(out, buf_str(&json), json.len);
}

static void put_claims(struct buf *out, const struct jwt_claims *c)
{
    CLEANUP(buf_release) struct buf json = BUF_INIT(PART_MAX);
    struct jsonw w = JSONW_INIT(&json);

    jsonw_object(&w);
    jsonw_put_string(&w, "iss", c->issuer);
    if (c->subject)
        jsonw_put_string(&w, "sub", c->subject);
    if (c->audience)
        jsonw_put_string(&w, "aud", c->audience);
    jsonw_put_int(&w, "iat", c->issued_s);
    jsonw_put_int(&w, "exp", c->issued_s + c->valid_s);
    jsonw_object_end(&w);
    put_base64url(out, buf_str(&json), json.len);
}

static int no_passphrase(char *buffer, int size, int writing, void *arg)
{
    (void)buffer, (void)size, (void)writing, (void)arg;
    return -1;
}

static EVP_PKEY *read_key(const char *pem)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;

    BIO_free(in);
    return key;
}

int jwt_sign(const struct jwt_claims *claims, const char *private_key, struct arena *mem,
             const char **out, struct error *err)
{
    CLEANUP(pkey_cleanup) EVP_PKEY *key = read_key(private_key);
    CLEANUP(context_cleanup) EVP_MD_CTX *context = EVP_MD_CTX_new();
    CLEANUP(buf_release) struct buf text = BUF_INIT(4 * PART_MAX);
    unsigned char signature[2048]; /* of a key of up to 16384 bits */
    size_t n = sizeof signature;

    if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) < KEY_BITS)
        return error_set_reason(
            err, ERR_CONFIG, "bad_private_key",
            "the private key is no RSA key of %d bits or more in PEM, without a "
            "passphrase",
            KEY_BITS);
    put_head(&text, claims);
    buf_putc(&text, '.');
    put_claims(&text, claims);
    if (buf_ok(&text, "an assertion", err) < 0)
        return -1;
    if (!context || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(context, signature, &n, (const unsigned char *)buf_str(&text), text.len) !=
            1)
        return error_set_reason(err, ERR_CONFIG, "bad_private_key",
                                "nothing can be signed with the private key");
    buf_putc(&text, '.');
    put_base64url(&text, signature, n);
    if (buf_ok(&text, "an assertion", err) < 0)
        return -1;
    *out = arena_memdup(mem, buf_str(&text), text.len);
    return 0;
}
