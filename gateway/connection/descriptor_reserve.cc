#include "gateway/connection/descriptor_reserve.h"

#include <sys/eventfd.h>

namespace lp::gateway::connection {

DescriptorReserve::DescriptorReserve() {
  if (!restore()) held_.clear();
}

void DescriptorReserve::release() noexcept {
  held_.clear();
}

bool DescriptorReserve::restore() {
  std::vector<UniqueFd> taken;
  while (held_.size() + taken.size() < size + 1) {
    // Any kind would do; this one needs no file system and, unlike dup, no other descriptor.
    UniqueFd fd(::eventfd(0, EFD_CLOEXEC));
    if (!fd) return false;
    taken.push_back(std::move(fd));
  }
  taken.pop_back();
  for (UniqueFd& fd : taken)
    held_.push_back(std::move(fd));
  return true;
}

}  // namespace lp::gateway::connection
