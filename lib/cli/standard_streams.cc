#include "lib/cli/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <tuple>

namespace lp::cli {

void open_standard_streams() noexcept {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) std::ignore = ::open("/dev/null", O_RDWR);
  }
}

}  // namespace lp::cli
