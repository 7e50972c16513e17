#include "gateway/ecash/verifier.h"

namespace lp::gateway::ecash {
namespace {

class MockVerifier final : public Verifier {
 public:
  void verify(Ticket, UnixSeconds, VerifyDone done) override {
    done(Verified{.amount = mock_bandwidth, .expired = false});
  }
  [[nodiscard]] bool is_mock() const override { return true; }
  [[nodiscard]] std::string not_ready_reason() const override { return {}; }
};

}  // namespace

std::unique_ptr<Verifier> make_mock_verifier() {
  return std::make_unique<MockVerifier>();
}

}  // namespace lp::gateway::ecash
