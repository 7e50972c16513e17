// From the library's errors to the label values of lp_client_hello_failed and lp_handshakes_failed.
#include "gateway/metrics/metrics.h"

namespace lp::gateway::metrics {

HelloFailure hello_failure(Error error) noexcept {
  switch (error) {
    case Error::frame_oversize:
      return HelloFailure::oversize;
    case Error::packet_too_short:
      return HelloFailure::too_short;
    case Error::version_unsupported:
      return HelloFailure::version;
    case Error::message_type_unknown:
    case Error::message_type_unexpected:
    case Error::busy_with_content:
    case Error::busy:
      return HelloFailure::type;
    case Error::client_hello_size:
    case Error::packet_size_unexpected:
      return HelloFailure::size;
    case Error::session_id_mismatch:
    case Error::counter_unexpected:
      return HelloFailure::header;
    default:
      return HelloFailure::other;
  }
}

HandshakeFailure handshake_failure(Error error) noexcept {
  switch (error) {
    case Error::frame_oversize:
      return HandshakeFailure::oversize;
    case Error::packet_too_short:
      return HandshakeFailure::too_short;
    case Error::version_unsupported:
      return HandshakeFailure::version;
    case Error::message_type_unknown:
    case Error::message_type_unexpected:
    case Error::busy_with_content:
    case Error::busy:
      return HandshakeFailure::type;
    case Error::client_hello_size:
    case Error::packet_size_unexpected:
    case Error::noise_message_size:
      return HandshakeFailure::size;
    case Error::session_id_mismatch:
      return HandshakeFailure::session_id;
    case Error::counter_unexpected:
    case Error::counter_not_transport:
    case Error::replay_duplicate:
    case Error::replay_too_old:
      return HandshakeFailure::counter;
    case Error::noise_decrypt:
      return HandshakeFailure::decrypt;
    case Error::key_low_order:
    case Error::key_invalid:
      return HandshakeFailure::low_order;
    case Error::static_key_mismatch:
      return HandshakeFailure::static_key_mismatch;
    default:
      return HandshakeFailure::other;
  }
}

}  // namespace lp::gateway::metrics
