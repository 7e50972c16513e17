// What each path answers:
//
//   GET  /cosmwasm/wasm/v1/contract/{address}/smart/{base64}   the chain's smart query
//   POST /v1/sign                                              blind signing
//   GET  /healthz, /metrics                                    for whoever watches
#pragma once

#include <string>

#include "lib/http/server.h"
#include "tools/issuer/contract.h"
#include "tools/issuer/counters.h"
#include "tools/issuer/issuer.h"
#include "tools/issuer/worker.h"

namespace lp::issuer {

class Routes final : public http::Handler {
 public:
  /// One that answers, and the thread that it is used on.
  template <typename T>
  struct On {
    T& service;
    Worker& worker;
  };

  /// The references must outlive it. Each has a worker of its own: what waits to be signed keeps no
  /// query waiting.
  Routes(std::string address, On<Contract> contract, On<Issuer> issuer, Counters& counters)
      : address_(std::move(address)), contract_(contract), issuer_(issuer), counters_(counters) {}

  [[nodiscard]] std::expected<std::size_t, http::Answer> begin(const http::Head& head) override;
  void handle(http::Request request, Done done) override;

 private:
  [[nodiscard]] std::expected<std::size_t, http::Answer> begin_query(const http::Head& head) const;
  /// On the worker's thread.
  [[nodiscard]] http::Answer answer(const http::Request& request);

  const std::string address_;  ///< the contract's
  On<Contract> contract_;
  On<Issuer> issuer_;
  Counters& counters_;
};

}  // namespace lp::issuer
