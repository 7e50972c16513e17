// What each path answers:
//
//   GET  /cosmwasm/wasm/v1/contract/{address}/smart/{base64}   the chain's smart query
//   POST /v1/sign                                              blind signing
//   GET  /healthz, /metrics                                    for whoever watches
#pragma once

#include <string>

#include "lib/http/server.h"
#include "tools/issuer/counters.h"
#include "tools/issuer/issuer.h"
#include "tools/issuer/worker.h"

namespace lp::issuer {

class Routes final : public http::Handler {
 public:
  /// The references must outlive it; `issuer` is used on the worker's thread.
  Routes(std::string contract, Issuer& issuer, Worker& worker, Counters& counters)
      : contract_(std::move(contract)), issuer_(issuer), worker_(worker), counters_(counters) {}

  [[nodiscard]] std::expected<std::size_t, http::Answer> begin(const http::Head& head) override;
  void handle(http::Request request, Done done) override;

 private:
  [[nodiscard]] std::expected<std::size_t, http::Answer> begin_query(const http::Head& head) const;
  /// On the worker's thread.
  [[nodiscard]] http::Answer answer(const http::Request& request);

  const std::string contract_;
  Issuer& issuer_;
  Worker& worker_;
  Counters& counters_;
};

}  // namespace lp::issuer
