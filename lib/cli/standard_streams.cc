#include "lib/cli/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <tuple>

namespace lp::cli {

void open_standard_streams() noexcept {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) std::ignore = ::open("/dev/null", O_RDWR);
  }
}

bool standard_output_arrived() noexcept {
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
}

}  // namespace lp::cli
