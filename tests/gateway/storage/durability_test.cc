// kill -9 in the middle of registrations: every one that was answered is there, none half.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/gateway/storage/storage_test.h"

extern char** environ;

namespace lp::gateway::storage::test {
namespace {

class RegisteringProcess {
 public:
  RegisteringProcess(const std::filesystem::path& database, std::uint64_t first) {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe(ends.data()), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    std::string program = std::string(LP_TEST_BIN) + "/registering_process";
    std::string path = database.string();
    std::string number = std::to_string(first);
    std::array<char*, 4> arguments{program.data(), path.data(), number.data(), nullptr};
    EXPECT_EQ(posix_spawn(&id_, program.c_str(), &actions, nullptr, arguments.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    answers_ = fdopen(ends[0], "r");
  }
  ~RegisteringProcess() { fclose(answers_); }
  RegisteringProcess(const RegisteringProcess&) = delete;
  RegisteringProcess& operator=(const RegisteringProcess&) = delete;

  /// Kills it after so many answers; all answers it gave.
  std::vector<std::uint64_t> kill_after(std::size_t count) {
    std::vector<std::uint64_t> numbers;
    std::array<char, 64> line{};
    bool killed = false;
    while (fgets(line.data(), static_cast<int>(line.size()), answers_) != nullptr) {
      numbers.push_back(std::stoull(line.data()));
      if (numbers.size() >= count && !std::exchange(killed, true)) ::kill(id_, SIGKILL);
    }
    int status = 0;
    waitpid(id_, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "it ended by itself: " << status;
    return numbers;
  }

 private:
  pid_t id_ = -1;
  FILE* answers_ = nullptr;
};

class DurabilityTest : public StorageTest {};
INSTANTIATE_TEST_SUITE_P(Databases, DurabilityTest, both_databases, database_name);

TEST_P(DurabilityTest, KilledProcessHasEveryAnsweredRegistrationAndNoneHalf) {
  close();
  std::vector<std::uint64_t> answered;
  std::uint64_t first = 0;
  for (const std::size_t count : {1U, 7U, 40U, 90U, 333U, 700U}) {
    RegisteringProcess process(database(), first);
    const auto numbers = process.kill_after(count);
    ASSERT_GE(numbers.size(), count);
    answered.insert(answered.end(), numbers.begin(), numbers.end());
    // What was under way may be there or not: the next round leaves it alone.
    first = *std::max_element(numbers.begin(), numbers.end()) + 1000;
  }
  open();
  for (const auto number : answered) {
    const auto found = find_spent(storage(), ticket(wireguard_owner(0), number).nullifier);
    ASSERT_TRUE(found && found->has_value()) << number;
    EXPECT_NE((*found)->client_id, 0);
    EXPECT_EQ((*found)->addresses.has_value(), number % 3 != 0);
  }
  auto rows = this->rows();
  EXPECT_EQ(rows.integer("SELECT count(*) FROM spent_credentials WHERE client_id IS NULL"), 0);
  EXPECT_EQ(rows.integer("SELECT sum(credited) FROM bandwidth"),
            ticket_amount * rows.count("spent_credentials"));
  if (!is_postgres()) {
    EXPECT_EQ(rows.text("PRAGMA integrity_check"), "ok");
  }
}

}  // namespace
}  // namespace lp::gateway::storage::test
