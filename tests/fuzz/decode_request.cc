// Whatever decodes is the one encoding of its value.
#include <algorithm>

#include "lib/base/encoding.h"
#include "lib/messages/registration.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const lp::ByteView input(data, size);
  const auto request = lp::messages::decode_request(input);
  if (!request) return 0;
  require(std::ranges::equal(encode(*request), input));
  if (const auto key = lp::messages::parse_wg_public_key(request->wg_public_key)) {
    require(lp::to_base64(key->bytes) == request->wg_public_key);
  }
  require(lp::messages::ip_address_from_string(to_string(request->client_ip)) ==
          request->client_ip);
  return 0;
}
