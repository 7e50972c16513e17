#include "probes/errors.h"

#include <fmt/format.h>

#include <array>

namespace lp::probe {
namespace {

constexpr std::array<std::string_view, stage_count> stage_names{
    "resolve", "connect", "client_hello", "handshake", "request", "response", "tunnel"};

constexpr int failed = exit_status::failed;
constexpr int unknown = exit_status::unknown;

using C = ProbeCode;

constexpr std::array table{
    // resolve
    ErrorCode{C::dns_not_found, "dns_not_found", "resolve", failed,
              "the host name does not exist or has no address", "check the spelling and the zone"},
    ErrorCode{C::dns_failed, "dns_failed", "resolve", failed,
              "the name server did not give an answer that can be used",
              "check this machine's resolver, then the zone's servers"},
    ErrorCode{C::dns_timeout, "dns_timeout", "resolve", failed,
              "the name was not resolved within --resolve-timeout",
              "check this machine's resolver; a literal address avoids it"},
    ErrorCode{C::no_address_of_family, "no_address_of_family", "resolve", failed,
              "the host has no address of the family asked for", "drop -4 or -6"},
    ErrorCode{C::http_unreachable, "http_unreachable", "resolve", failed,
              "the gateway's identity was to be asked over HTTP and no port answered",
              "check the HTTP port, or give the identity as IDENTITY@HOST"},
    ErrorCode{C::http_timeout, "http_timeout", "resolve", failed,
              "the gateway's HTTP side did not answer within --http-timeout",
              "check the HTTP port, or give the identity as IDENTITY@HOST"},
    ErrorCode{C::http_invalid, "http_invalid", "resolve", failed,
              "the gateway's HTTP answer cannot be understood",
              "is this port the gateway's HTTP API?"},
    ErrorCode{C::host_information_signature, "host_information_signature", "resolve", failed,
              "the signature over the gateway's host information does not verify",
              "the answer was changed on its way or signed with another key"},
    ErrorCode{C::identity_mismatch, "identity_mismatch", "resolve", failed,
              "the gateway names another identity than the one expected",
              "check --entry-gateway; the host may have been reinstalled or may be another one"},
    ErrorCode{C::identity_unverified, "identity_unverified", "resolve", failed,
              "no real ticket is sent to an identity that was learned over HTTP",
              "give the identity as IDENTITY@HOST, or pass --trust-http-identity"},
    // connect
    ErrorCode{C::tcp_refused, "tcp_refused", "connect", failed,
              "the host refuses connections to this port",
              "is the gateway running, and does it listen on this address and port?"},
    ErrorCode{C::tcp_timeout, "tcp_timeout", "connect", failed,
              "no connection within --connect-timeout",
              "a firewall may drop the packets, or the host is down"},
    ErrorCode{C::tcp_unreachable, "tcp_unreachable", "connect", failed,
              "there is no route to the host", "check routing, and IPv6 connectivity with -4"},
    ErrorCode{C::tcp_failed, "tcp_failed", "connect", failed, "the connection failed",
              "the system's reason stands in the detail"},
    ErrorCode{C::source_address_unusable, "source_address_unusable", "connect", unknown,
              "the source address cannot be used", "check --source-address against ip(8) address"},
    // client_hello, handshake
    ErrorCode{
        C::busy, "busy", "client_hello, handshake", failed,
        "the gateway answered Busy: it is at its connection limit",
        "try again later; on the gateway see max_connections, max_connections_per_address and "
        "lp_connections_rejected_total"},
    ErrorCode{C::closed_after_client_hello, "closed_after_client_hello", "client_hello", failed,
              "the gateway closed the connection on ClientHello and message 1",
              "wrong identity, or a clock that is off? On the gateway see lp_client_hello_failed "
              "and lp_handshakes_failed"},
    ErrorCode{C::gateway_key_invalid, "gateway_key_invalid", "client_hello", failed,
              "the identity gives no usable LP key", "check the identity"},
    ErrorCode{C::handshake_timeout, "handshake_timeout", "client_hello, handshake", failed,
              "no answer to ClientHello and message 1 within --handshake-timeout",
              "the port is open but nothing that speaks LP answers: overload, or another service"},
    ErrorCode{C::noise_decrypt, "noise_decrypt", "handshake, response", failed,
              "what the gateway sent does not authenticate",
              "wrong identity, or something on the path changes the traffic"},
    ErrorCode{C::closed_mid_frame, "closed_mid_frame", "handshake, response", failed,
              "the connection ended in the middle of a frame",
              "the gateway was stopped, or something on the path cuts connections"},
    ErrorCode{C::frame_oversize, "frame_oversize", "handshake, response", failed,
              "a frame announces more than 65,536 bytes",
              "probably not an LP port: text such as HTTP or SSH looks like this"},
    ErrorCode{C::packet_too_short, "packet_too_short", "handshake, response", failed,
              "a packet is shorter than header and trailer", "probably not an LP port"},
    ErrorCode{C::version_unsupported, "version_unsupported", "handshake, response", failed,
              "a packet has another protocol version than 1",
              "the gateway speaks another version of LP"},
    ErrorCode{C::message_type_unknown, "message_type_unknown", "handshake, response", failed,
              "a packet has an unknown message type", "the gateway speaks another version of LP"},
    ErrorCode{C::busy_with_content, "busy_with_content", "handshake", failed,
              "a Busy packet carries content", "a defect of the gateway"},
    ErrorCode{C::packet_size_unexpected, "packet_size_unexpected", "handshake, response", failed,
              "a packet has not the one size that it can have here", "a defect of the gateway"},
    ErrorCode{C::unexpected_message, "unexpected_message", "handshake, response", failed,
              "a message that has no place here", "a defect of the gateway; see --trace"},
    ErrorCode{C::session_id_mismatch, "session_id_mismatch", "handshake, response", failed,
              "a packet carries another session id than this connection's",
              "a defect of the gateway, or injected packets; see --trace"},
    ErrorCode{C::counter_unexpected, "counter_unexpected", "handshake, response", failed,
              "a packet carries a counter that is not its own",
              "a defect of the gateway, or injected packets; see --trace"},
    ErrorCode{C::closed_after_handshake, "closed_after_handshake", "handshake", failed,
              "the gateway closed the connection after message 3 without a byte of an answer",
              "another PSK on the gateway's side, or it ended while it worked; see "
              "lp_handshakes_failed and the gateway's log"},
    ErrorCode{C::connection_failed, "connection_failed", "client_hello, handshake, response",
              failed, "the connection failed", "the system's reason stands in the detail"},
    // request
    ErrorCode{C::request_timeout, "request_timeout", "request", failed,
              "the request was not sent within --registration-timeout",
              "the gateway does not read, or the path is saturated"},
    ErrorCode{C::request_send_failed, "request_send_failed", "request", failed,
              "the connection ended before the request was sent",
              "the gateway was stopped, or something on the path cuts connections"},
    // response
    ErrorCode{C::response_timeout, "response_timeout", "response", failed,
              "no answer to the request within --registration-timeout",
              "the gateway's database or WireGuard may hang; see "
              "lp_registration_step_duration_seconds"},
    ErrorCode{C::replay_duplicate, "replay_duplicate", "response", failed,
              "only packets with a counter already used came", "a defect of the gateway"},
    ErrorCode{C::replay_too_old, "replay_too_old", "response", failed,
              "only packets from below the replay window came", "a defect of the gateway"},
    ErrorCode{C::too_many_dropped, "too_many_dropped", "response", failed,
              "more than 16 packets had to be dropped",
              "a defect of the gateway, or injected packets; see --trace"},
    ErrorCode{C::response_malformed, "response_malformed", "response", failed,
              "the answer decrypts but is no registration response",
              "the gateway has another version of the message"},
    ErrorCode{C::missing_gateway_data, "missing_gateway_data", "response", failed,
              "the gateway says success and gives no WireGuard data",
              "is WireGuard enabled on the gateway?"},
    ErrorCode{C::gateway_data_invalid, "gateway_data_invalid", "response", failed,
              "the WireGuard data of the gateway cannot be used",
              "check the gateway's wireguard_announced_address, wireguard_announced_port and key"},
    ErrorCode{C::registration_rejected, "registration_rejected", "response", failed,
              "the gateway refused the registration with a reason that is not in this table",
              "the reason stands in the detail"},
    // the gateway's sentences
    ErrorCode{C::malformed_request, "malformed_request", "response", failed,
              "the gateway could not decode the request",
              "the gateway has another version of the message"},
    ErrorCode{C::timestamp_rejected, "timestamp_rejected", "response", failed,
              "the gateway refused the request's timestamp",
              "compare both clocks; the gateway allows timestamp_tolerance_secs"},
    ErrorCode{C::wireguard_key_rejected, "wireguard_key_rejected", "response", failed,
              "the gateway refused the WireGuard key", "run the probe again: it makes a new key"},
    ErrorCode{C::ticket_type_mismatch, "ticket_type_mismatch", "response", failed,
              "the ticket type does not fit the mode", "check --ticket-type against --mode"},
    ErrorCode{C::mode_unsupported, "mode_unsupported", "response", failed,
              "the gateway does not serve this mode", "try the other --mode"},
    ErrorCode{C::credential_scheme_unsupported, "credential_scheme_unsupported", "response", failed,
              "the gateway cannot verify this kind of credential",
              "a mock ticket needs a gateway with use_mock_ecash"},
    ErrorCode{C::credential_wrong_amount, "credential_wrong_amount", "response", failed,
              "the ticket's amount is not what its type is worth",
              "a mock ticket needs a gateway with use_mock_ecash"},
    ErrorCode{C::credential_expired, "credential_expired", "response", failed,
              "the ticket has expired", "get a new ticket, and compare both clocks"},
    ErrorCode{C::credential_unknown_key, "credential_unknown_key", "response", failed,
              "the gateway has no verification key for this ticket",
              "a mock ticket needs a gateway with use_mock_ecash; else see the gateway's keys and "
              "chain"},
    ErrorCode{C::credential_bad_signature, "credential_bad_signature", "response", failed,
              "the ticket's signature does not verify",
              "a mock ticket needs a gateway with use_mock_ecash; else the ticket is for another "
              "gateway"},
    ErrorCode{C::credential_spent, "credential_spent", "response", failed,
              "the ticket has been spent by another key", "use another ticket"},
    ErrorCode{C::address_pool_exhausted, "address_pool_exhausted", "response", failed,
              "the gateway has no private address left",
              "remove stale peers on the gateway or enlarge ipv4_pool"},
    ErrorCode{C::wireguard_failed, "wireguard_failed", "response", failed,
              "the gateway could not add the WireGuard peer",
              "check the gateway's WireGuard interface; the ticket is still good"},
    ErrorCode{C::storage_failed, "storage_failed", "response", failed,
              "the gateway could not write to its database",
              "check the gateway's disk and database; the ticket is still good"},
    ErrorCode{C::gateway_busy, "gateway_busy", "response", failed,
              "the gateway is too busy to register", "try again later; the ticket is still good"},
    ErrorCode{C::processing_timeout, "processing_timeout", "response", failed,
              "the gateway did not finish the registration in time",
              "see lp_registration_step_duration_seconds on the gateway"},
    ErrorCode{C::gateway_shutting_down, "gateway_shutting_down", "response", failed,
              "the gateway is about to stop", "try again later"},
    // tunnel
    ErrorCode{
        C::wireguard_refused, "wireguard_refused", "tunnel", failed,
        "the host says that nothing listens on the gateway's WireGuard port",
        "is the WireGuard interface up on the port that the gateway announces? A gateway with "
        "wireguard_backend memory has none: stop before it with --only-lp-registration"},
    ErrorCode{C::wireguard_unreachable, "wireguard_unreachable", "tunnel", failed,
              "nothing can be sent to the gateway's WireGuard endpoint",
              "check routing to the endpoint, and this machine's firewall; the system's reason "
              "stands in the detail"},
    ErrorCode{C::wireguard_handshake_timeout, "wireguard_handshake_timeout", "tunnel", failed,
              "no answer to WireGuard's handshake within --tunnel-handshake-timeout",
              "a WireGuard that does not know this key answers nothing: see wg show on the gateway "
              "for this peer, the UDP port in its firewall, and wireguard_announced_address"},
    ErrorCode{C::wireguard_under_load, "wireguard_under_load", "tunnel", failed,
              "the gateway's WireGuard is under load and answered with cookies only",
              "try again later, or with a longer --tunnel-handshake-timeout"},
    ErrorCode{C::wireguard_response_invalid, "wireguard_response_invalid", "tunnel", failed,
              "answers to WireGuard's handshake came and none of them holds",
              "where an answer does not authenticate, the two sides have not the same preshared "
              "key, or one side has none: compare --wg-preshared-key with the gateway's "
              "wireguard_preshared_key"},
    ErrorCode{C::tunnel_silent, "tunnel_silent", "tunnel", failed,
              "WireGuard's handshake is made and nothing comes back through the tunnel",
              "see on the gateway that the interface has its addresses, that wg show lists this "
              "peer with its own, and that the firewall lets the interface's packets in"},
    ErrorCode{C::tunnel_no_forwarding, "tunnel_no_forwarding", "tunnel", failed,
              "the gateway answers through the tunnel, and no address beyond it does",
              "check net.ipv4.ip_forward, net.ipv6.conf.all.forwarding, the NAT rule and the "
              "FORWARD chain on the gateway"},
    ErrorCode{C::tunnel_dns_failed, "tunnel_dns_failed", "tunnel", failed,
              "no name is resolved through the tunnel",
              "check that the gateway forwards UDP to --netstack-v4-dns and --netstack-v6-dns"},
    // tickets
    ErrorCode{C::wallet_unusable, "wallet_unusable", "resolve, request, response",
              exit_status::cannot_create, "the wallet cannot be made, opened, locked or written",
              "check --wallet, its directory and free space; no ticket is lost"},
    ErrorCode{C::wallet_exposed, "wallet_exposed", "resolve", exit_status::no_permission,
              "others can read or write the wallet, or it is another user's",
              "chmod 600 the file, and take the tickets in it for known to others"},
    ErrorCode{C::wallet_corrupt, "wallet_corrupt", "resolve, request, response",
              exit_status::no_input, "the wallet is damaged or no wallet",
              "restore it, or name another file with --wallet; sqlite3 FILE .recover saves what "
              "is left"},
    ErrorCode{C::wallet_version, "wallet_version", "resolve", exit_status::no_input,
              "the wallet was written by a newer version", "use that version of lp-probe"},
    ErrorCode{
        C::no_ticket, "no_ticket", "resolve", exit_status::config,
        "the wallet has no such ticket, and no issuer is set to get one from",
        "see lp-probe wallet list; to get tickets set --chain-url, --ecash-contract, --issuer "
        "and --issuer-token-file; a gateway with mock e-cash takes --use-mock-ecash"},
    ErrorCode{C::chain_unreachable, "chain_unreachable", "resolve", exit_status::unavailable,
              "the chain's endpoint cannot be reached", "check --chain-url and its certificate"},
    ErrorCode{C::chain_timeout, "chain_timeout", "resolve", exit_status::unavailable,
              "the chain did not answer within --ecash-timeout", "try again later"},
    ErrorCode{C::chain_invalid, "chain_invalid", "resolve", exit_status::unavailable,
              "the chain's answer cannot be used",
              "check --chain-url and --ecash-contract; what is wrong stands in the detail"},
    ErrorCode{C::no_verification_key, "no_verification_key", "resolve", exit_status::unavailable,
              "the chain has no key for this ticket type that has not expired",
              "check --ticket-type and this machine's clock"},
    ErrorCode{C::issuer_token_unreadable, "issuer_token_unreadable", "resolve",
              exit_status::no_input, "the file with the issuer's token cannot be read",
              "check --issuer-token-file: one line with the token"},
    ErrorCode{C::issuer_token_exposed, "issuer_token_exposed", "resolve",
              exit_status::no_permission, "others can read or write the file with the token",
              "chmod 600 the file"},
    ErrorCode{C::issuer_token_rejected, "issuer_token_rejected", "resolve",
              exit_status::no_permission, "the issuer does not know the token",
              "check --issuer-token-file; the token may have been revoked"},
    ErrorCode{C::issuer_allowance, "issuer_allowance", "resolve", exit_status::unavailable,
              "the token's allowance is used up", "ask the issuer for more"},
    ErrorCode{C::issuer_refused, "issuer_refused", "resolve", exit_status::unavailable,
              "the issuer refused to sign", "the issuer's reason stands in the detail"},
    ErrorCode{C::issuer_unreachable, "issuer_unreachable", "resolve", exit_status::unavailable,
              "the issuer cannot be reached, or is in trouble",
              "check --issuer and its certificate; the next run asks for the same tickets"},
    ErrorCode{C::issuer_timeout, "issuer_timeout", "resolve", exit_status::unavailable,
              "the issuer did not answer within --ecash-timeout",
              "try again later; the next run asks for the same tickets"},
    ErrorCode{C::issuer_invalid, "issuer_invalid", "resolve", exit_status::unavailable,
              "the issuer's answer cannot be used", "is --issuer the address of an issuer?"},
    ErrorCode{C::ticket_invalid, "ticket_invalid", "resolve", exit_status::unavailable,
              "what the issuer signed does not verify under the chain's key",
              "are --issuer and --chain-url of the same network? The ticket was not kept"},
    // the probe's own
    ErrorCode{C::interrupted, "interrupted", "any", unknown, "the probe was interrupted",
              "run it again"},
    ErrorCode{C::out_of_descriptors, "out_of_descriptors", "connect", unknown,
              "this machine has no file descriptor or memory left for a socket",
              "raise the limit of open files (ulimit -n)"},
    ErrorCode{C::internal, "internal", "any", exit_status::internal,
              "the probe failed in a way it should not", "please report it with --trace"},
    ErrorCode{C::usage, "usage", "-", exit_status::usage, "the command line is not understood",
              "see lp-probe --help"},
    ErrorCode{C::input_unreadable, "input_unreadable", "-", exit_status::no_input,
              "a file named on the command line cannot be read", "check path and permissions"},
    ErrorCode{C::output_unwritable, "output_unwritable", "-", exit_status::cannot_create,
              "a file cannot be written", "check path, permissions and free space"},
    ErrorCode{C::config_invalid, "config_invalid", "-", exit_status::config,
              "the configuration file or an LP_PROBE_ variable is not understood",
              "see lp-probe(1), FILES and ENVIRONMENT"},
};

consteval bool table_is_sound() {
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (static_cast<std::size_t>(table[i].code) != i) return false;
  }
  return table.back().code == ProbeCode::config_invalid;
}
static_assert(table_is_sound(), "rows stand in the order of ProbeCode, none missing");

constexpr ProbeCode code_of_failure(messages::RegistrationFailure failure) {
  return static_cast<ProbeCode>(static_cast<std::size_t>(ProbeCode::malformed_request) +
                                static_cast<std::size_t>(failure));
}

consteval bool sentences_have_codes() {
  for (const auto& error : messages::registration_errors) {
    if (table[static_cast<std::size_t>(code_of_failure(error.failure))].name != error.probe_code) {
      return false;
    }
  }
  return true;
}
static_assert(sentences_have_codes(), "registration_errors.h and ProbeCode have the same order");

}  // namespace

std::string_view name(Stage stage) noexcept {
  return stage_names[static_cast<std::size_t>(stage)];
}

std::optional<Stage> stage_from_name(std::string_view text) noexcept {
  for (std::size_t i = 0; i < stage_count; ++i) {
    if (stage_names[i] == text) return static_cast<Stage>(i);
  }
  return std::nullopt;
}

std::span<const ErrorCode> error_codes() noexcept {
  return table;
}

const ErrorCode& entry(ProbeCode code) noexcept {
  return table[static_cast<std::size_t>(code)];
}

std::string_view name(ProbeCode code) noexcept {
  return entry(code).name;
}

ProbeCode code_of_sentence(std::string_view sentence) noexcept {
  const auto failure = messages::from_sentence(sentence);
  return failure ? code_of_failure(*failure) : ProbeCode::registration_rejected;
}

ProbeCode code_of(Error error) noexcept {
  switch (error) {
    case Error::busy:
      return C::busy;
    case Error::frame_oversize:
      return C::frame_oversize;
    case Error::packet_too_short:
      return C::packet_too_short;
    case Error::version_unsupported:
      return C::version_unsupported;
    case Error::message_type_unknown:
      return C::message_type_unknown;
    case Error::busy_with_content:
      return C::busy_with_content;
    case Error::packet_size_unexpected:
    case Error::client_hello_size:
    case Error::noise_message_size:
      return C::packet_size_unexpected;
    case Error::message_type_unexpected:
      return C::unexpected_message;
    case Error::session_id_mismatch:
      return C::session_id_mismatch;
    case Error::counter_unexpected:
    case Error::counter_not_transport:
      return C::counter_unexpected;
    case Error::replay_duplicate:
      return C::replay_duplicate;
    case Error::replay_too_old:
      return C::replay_too_old;
    case Error::too_many_dropped:
      return C::too_many_dropped;
    case Error::noise_decrypt:
    case Error::key_low_order:  // the peer's ephemeral key: no honest gateway sends one
      return C::noise_decrypt;
    case Error::bincode_truncated:
    case Error::bincode_trailing:
    case Error::bincode_length:
    case Error::bincode_tag:
    case Error::bincode_utf8:
      return C::response_malformed;
    default:
      return C::internal;
  }
}

std::string printable(std::string_view text, std::size_t max) {
  std::string out;
  const bool cut = text.size() > max;
  if (cut) text = text.substr(0, max);
  for (const char c : text) {
    if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  if (cut) out += "...";
  return out;
}

}  // namespace lp::probe
