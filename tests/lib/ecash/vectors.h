// The vectors of tickets (tests/vectors/ecash-noble.json) and of hashing to G1 (RFC 9380, appendix
// J.9.1), as values.
#pragma once

#include <string>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/secret.h"
#include "lib/ecash/ticket.h"

namespace lp::test {

struct HashVector {
  ecash::TicketMessage message;
  Bytes encoded;
  Bytes point;
};

struct TicketVector : HashVector {
  Secret<32> secret;
  Bytes public_key;
  Secret<32> blinding_factor;
  Bytes blinded;
  Bytes signed_blinded;
  Bytes signature;
};

struct KeyVector {
  Secret<32> secret;
  Bytes public_key;
};

/// A signature that is right but for a point of order 3.
struct ShiftedTicket {
  ecash::TicketMessage message;
  Bytes signature;
};

struct RefusedPoint {
  std::string name;
  Bytes encoding;
  std::string error;
};

struct EcashVectors {
  std::vector<TicketVector> tickets;
  std::vector<HashVector> hashes;
  std::vector<KeyVector> keys;
  Bytes shifted_public_key;
  std::vector<ShiftedTicket> shifted_tickets;  ///< three: the additions cancel
  std::vector<RefusedPoint> refused_g1;
  std::vector<RefusedPoint> refused_g2;
};

/// Loaded once. Ends the program with a message where the file cannot be read.
[[nodiscard]] const EcashVectors& ecash_vectors();

struct HashToCurveVector {
  std::string message;
  Bytes x;
  Bytes y;
};

struct HashToCurveVectors {
  std::string domain;
  std::vector<HashToCurveVector> vectors;
};

[[nodiscard]] const HashToCurveVectors& rfc_9380_g1_vectors();

}  // namespace lp::test
