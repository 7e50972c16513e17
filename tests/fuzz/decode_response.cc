// Whatever decodes is the one encoding of its value.
#include <algorithm>

#include "lib/messages/registration.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const lp::ByteView input(data, size);
  const auto response = lp::messages::decode_response(input);
  if (response) require(std::ranges::equal(encode(*response), input));
  return 0;
}
