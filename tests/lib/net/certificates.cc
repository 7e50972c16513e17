#include "tests/lib/net/certificates.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>

namespace lp::test {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Cert = std::unique_ptr<X509, Deleter<X509_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;

void must(bool worked) {
  if (!worked) throw std::runtime_error("OpenSSL does not make a certificate");
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  must(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

struct Subject {
  const char* name;
  std::string alternative_names;  ///< empty: an authority
  long from;                      ///< seconds from now
  long until;
};

/// Signed by `issuer`, or by itself where that is null.
Certificate make(const Subject& subject, const Certificate* issuer) {
  const Key key(EVP_EC_gen("P-256"));
  must(key != nullptr);
  const Cert certificate(X509_new());
  static long serial = 1;
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
  X509_set_version(certificate.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), subject.from);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), subject.until);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* name = X509_get_subject_name(certificate.get());
  must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                  reinterpret_cast<const unsigned char*>(subject.name), -1, -1,
                                  0) == 1);
  Cert issuer_certificate;
  Key issuer_key;
  if (issuer != nullptr) {
    const Bio certificate_text(BIO_new_mem_buf(issuer->certificate.data(), -1));
    issuer_certificate.reset(PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
    const Bio key_text(BIO_new_mem_buf(issuer->key.data(), -1));
    issuer_key.reset(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  }
  X509* by = issuer != nullptr ? issuer_certificate.get() : certificate.get();
  must(by != nullptr && X509_set_issuer_name(certificate.get(), X509_get_subject_name(by)) == 1);
  if (subject.alternative_names.empty()) {
    extend(certificate.get(), by, NID_basic_constraints, "critical,CA:TRUE");
    extend(certificate.get(), by, NID_key_usage, "critical,keyCertSign");
  } else {
    extend(certificate.get(), by, NID_subject_alt_name, subject.alternative_names);
  }
  must(X509_sign(certificate.get(), issuer != nullptr ? issuer_key.get() : key.get(),
                 EVP_sha256()) != 0);
  const Bio certificate_text(BIO_new(BIO_s_mem()));
  const Bio key_text(BIO_new(BIO_s_mem()));
  must(PEM_write_bio_X509(certificate_text.get(), certificate.get()) == 1);
  must(PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) ==
       1);
  return {.certificate = text_of(certificate_text.get()), .key = text_of(key_text.get())};
}

constexpr long hour = 3600;

}  // namespace

CertificateAuthority::CertificateAuthority()
    : self_(make({.name = "authority", .alternative_names = {}, .from = -2 * hour, .until = hour},
                 nullptr)) {}

Certificate CertificateAuthority::issue(const std::string& names, Validity validity) const {
  return make({.name = "server",
               .alternative_names = names,
               .from = -2 * hour,
               .until = validity == Validity::good ? hour : -hour},
              &self_);
}

}  // namespace lp::test
