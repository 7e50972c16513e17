#include "gateway/app/key_file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "lib/base/encoding.h"
#include "lib/crypto/keys.h"
#include "lib/crypto/random.h"
#include "tests/support/process.h"

namespace lp::gateway::app {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view sample = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

class KeyFile : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(crypto::initialise()); }
  std::string refusal(std::string_view text, unsigned mode = 0600) {
    test::write_file(path_, text, mode);
    const auto key = read_key_file(path_, "test key");
    if (key) return "taken";
    EXPECT_EQ(key.error().code, ExitCode::configuration);
    return key.error().sentence;
  }

  test::TempDir dir_;
  std::filesystem::path path_ = dir_ / "key";
};

TEST_F(KeyFile, IsReadAsAnotherKeyThanWasWritten) {
  Secret<32> key;
  for (std::size_t i = 0; i < 32; ++i)
    key.mutable_bytes()[i] = static_cast<std::uint8_t>(i);
  ASSERT_TRUE(write_key_file(path_, key, "a comment"));
  EXPECT_EQ(test::read_file(path_), "# a comment\n" + std::string(sample) + "\n");
  const auto again = read_key_file(path_, "test key");
  ASSERT_TRUE(again) << again.error().sentence;
  EXPECT_TRUE(equal_constant_time(again->bytes(), key.bytes()));
}

TEST_F(KeyFile, OfWgGenkeyIsRefused) {
  for (const std::string& text :
       {std::string(sample), std::string(sample) + "\n", std::string(sample) + "\r\n",
        "# comment\n\n" + std::string(sample) + "\n# end\n"}) {
    EXPECT_EQ(refusal(text), "taken");
  }
}

TEST_F(KeyFile, ThatIsDamagedIsTaken) {
  const std::string wrong = path_.string() + ": the test key is not 32 bytes in base64 on one line";
  for (std::size_t size = 0; size < sample.size(); ++size) {
    EXPECT_EQ(refusal(sample.substr(0, size)), wrong) << size;
  }
  const std::string key(sample);
  for (const std::string& text : {key + key, key + "\n" + key, " " + key, key + " ", "x" + key,
                                  std::string("\0", 1) + key, key + std::string(2000, '\n'),
                                  std::string("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g\n")}) {
    EXPECT_EQ(refusal(text), wrong);
  }
}

TEST_F(KeyFile, ThatOthersCanReadIsTaken) {
  for (const unsigned mode : {0640U, 0604U, 0660U, 0644U, 0601U, 0610U, 0777U}) {
    EXPECT_THAT(refusal(sample, mode), HasSubstr("is open to others")) << mode;
  }
  EXPECT_EQ(refusal(sample, 0400), "taken");
}

TEST_F(KeyFile, IsPrintedInAnError) {
  EXPECT_THAT(refusal(std::string(sample) + "x"), Not(HasSubstr(std::string(sample))));
}

TEST_F(KeyFile, IsADirectoryOrAFifoAndBlocksTheStart) {
  EXPECT_FALSE(read_key_file(dir_.path(), "test key"));
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  const auto key = read_key_file(path_, "test key");
  ASSERT_FALSE(key);
  EXPECT_THAT(key.error().sentence, HasSubstr("is no regular file"));
}

TEST_F(KeyFile, OverwritesWhatIsThere) {
  test::write_file(path_, "precious");
  const auto written = write_key_file(path_, Secret<32>(), "");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ExitCode::cannot_create);
  EXPECT_EQ(test::read_file(path_), "precious");
  std::filesystem::remove(path_);
  std::filesystem::create_symlink(dir_ / "elsewhere", path_);
  EXPECT_FALSE(write_key_file(path_, Secret<32>(), ""));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "elsewhere"));
  // Nothing half-written stays behind.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_.path()), {}), 1);
}

}  // namespace
}  // namespace lp::gateway::app
