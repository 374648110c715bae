// The hash functions of OpenSSL's libcrypto, for CHAP.
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
