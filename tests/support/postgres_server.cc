#include "tests/support/postgres_server.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace lp::test {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view superuser = "lp";
constexpr std::uint16_t socket_port = 5432;  // part of the socket's name

struct Installation {
  int version = 0;
  fs::path bin;
};

/// Debian's servers are in /usr/lib/postgresql/VERSION/bin.
std::optional<Installation> find_installation() {
  std::optional<Installation> newest;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", error)) {
    const std::string name = entry.path().filename();
    int version = 0;
    const auto [end, wrong] = std::from_chars(name.data(), name.data() + name.size(), version);
    if (wrong != std::errc{} || end != name.data() + name.size()) continue;
    const fs::path bin = entry.path() / "bin";
    if (::access((bin / "initdb").c_str(), X_OK) != 0) continue;
    if (::access((bin / "postgres").c_str(), X_OK) != 0) continue;
    if (!newest || newest->version < version) newest = {.version = version, .bin = bin};
  }
  return newest;
}

const std::optional<Installation>& installation() {
  static const auto found = find_installation();
  return found;
}

/// PostgreSQL refuses to run as root.
std::optional<uid_t> other_user() {
  if (::geteuid() != 0) return std::nullopt;
  for (const char* name : {"postgres", "nobody"}) {
    if (const passwd* entry = ::getpwnam(name)) return entry->pw_uid;
  }
  throw std::runtime_error("PostgresServer: neither a user postgres nor nobody");
}

void run_or_throw(const ChildOptions& options) {
  const auto finished = run(options);
  if (finished.ended.code == 0) return;
  throw std::runtime_error(options.program.string() + ": " + finished.output +
                           finished.error_output);
}

/// With owners, modes and times.
void copy_tree(const fs::path& from, const fs::path& to) {
  run_or_throw(
      {.program = "/bin/cp", .args = {"-a", "--reflink=auto", from.string(), to.string()}});
}

/// A cluster of this build that was made earlier.
fs::path kept_cluster() {
  const auto name =
      "postgres-" + std::to_string(installation()->version) + "-" + std::to_string(::geteuid());
  return fs::path(LP_TEST_BIN).parent_path() / name;
}

/// For the other tests. Another test that does the same at this moment may be faster, and a
/// directory that cannot be written keeps none.
void keep_cluster(const fs::path& data) {
  const auto kept = kept_cluster();
  const fs::path temporary = kept.string() + "." + std::to_string(::getpid());
  std::error_code ignored;
  if (!fs::is_directory(kept.parent_path(), ignored)) return;
  if (::access(kept.parent_path().c_str(), W_OK) != 0) return;
  copy_tree(data, temporary);
  fs::rename(temporary, kept, ignored);
  fs::remove_all(temporary, ignored);
}

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '/' || c == '-' || c == '_' || c == '.';
    if (plain) {
      result += c;
    } else {
      constexpr std::string_view digits = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      result += {'%', digits[byte >> 4U], digits[byte & 15U]};
    }
  }
  return result;
}

}  // namespace

bool PostgresServer::installed() {
  return installation().has_value();
}

PostgresServer::PostgresServer(Options options)
    : options_(std::move(options)), user_(other_user()) {
  if (!installed()) throw std::runtime_error(std::string(not_installed));
  if (options_.tcp) tcp_port_ = free_port();
  make_cluster();
  start();
}

PostgresServer::~PostgresServer() {
  stop(Stop::immediate);
}

ChildOptions PostgresServer::command(std::string_view name, std::vector<std::string> args) const {
  return {.program = installation()->bin / name,
          .args = std::move(args),
          .environment = {{"LC_ALL", "C"}, {"PGDATA", std::nullopt}, {"PGPASSWORD", std::nullopt}},
          .user = user_};
}

void PostgresServer::make_cluster() {
  // The directory is the server's: its socket is in it, and nobody else reaches that.
  if (user_ && ::chown(dir_.path().c_str(), *user_, *user_) != 0) {
    throw std::runtime_error("PostgresServer: chown " + dir_.path().string());
  }
  const fs::path data = dir_ / "data";
  if (const auto kept = kept_cluster(); fs::exists(kept)) {
    copy_tree(kept, data);
  } else {
    run_or_throw(command(
        "initdb",
        {"--pgdata=" + data.string(), "--username=" + std::string(superuser), "--auth=trust",
         "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions", "--wal-segsize=1"}));
    keep_cluster(data);
  }
  std::string access;
  for (const auto& line : options_.access)
    access += line + '\n';
  access += "local all all trust\nhost all all 127.0.0.1/32 trust\n";
  write_file(data / "pg_hba.conf", access);
  if (!options_.tls) return;
  write_file(data / "server.crt", options_.tls->certificate);
  write_file(data / "server.key", options_.tls->key, 0600);
  if (user_ && ::chown((data / "server.key").c_str(), *user_, *user_) != 0) {
    throw std::runtime_error("PostgresServer: chown server.key");
  }
}

std::string PostgresServer::url(std::string_view database, std::string_view user) const {
  return "postgresql://" + escaped(user) + "@/" + escaped(database) +
         "?host=" + escaped(dir_.path().string()) +
         "&port=" + std::to_string(options_.tcp ? tcp_port_ : socket_port);
}

std::string PostgresServer::tcp_url(std::string_view database, std::string_view user) const {
  return "postgresql://" + escaped(user) + "@127.0.0.1:" + std::to_string(tcp_port_) + "/" +
         escaped(database);
}

void PostgresServer::create_database(std::string_view name) {
  const auto quoted = "\"" + std::string(name) + "\"";
  query("postgres", "DROP DATABASE IF EXISTS " + quoted + " WITH (FORCE)");
  query("postgres", "CREATE DATABASE " + quoted);
}

std::string PostgresServer::query(std::string_view database, std::string_view sql) const {
  auto finished =
      run({.program = installation()->bin / "psql",
           .args = {"--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
                    "--set=ON_ERROR_STOP=1", "--command=" + std::string(sql), url(database)}});
  if (finished.ended.code != 0) {
    throw std::runtime_error("psql: " + std::string(sql) + ": " + finished.error_output);
  }
  return std::move(finished.output);
}

void PostgresServer::stop(Stop how) {
  if (!child_) return;
  child_->send_signal(how == Stop::fast ? SIGINT : SIGQUIT);
  child_->wait();
  child_.reset();
}

void PostgresServer::start() {
  const auto port = options_.tcp ? tcp_port_ : socket_port;
  std::vector<std::string> args{"-D", (dir_ / "data").string()};
  const auto set = [&args](std::string setting) {
    args.emplace_back("-c");
    args.push_back(std::move(setting));
  };
  set("unix_socket_directories=" + dir_.path().string());
  set(std::string("listen_addresses=") + (options_.tcp ? "127.0.0.1" : ""));
  set("port=" + std::to_string(port));
  set(std::string("fsync=") + (options_.durable ? "on" : "off"));
  set(std::string("ssl=") + (options_.tls ? "on" : "off"));
  set("shared_buffers=8MB");
  set("max_connections=50");
  set("autovacuum=off");
  for (const auto& setting : options_.settings)
    set(setting);
  auto options = command("postgres", std::move(args));
  options.death_signal = SIGQUIT;  // an immediate stop, which removes its shared memory
  child_ = std::make_unique<Child>(options);
  if (!child_->wait_for_error_line("ready to accept connections")) {
    throw std::runtime_error("PostgresServer: " + child_->error_output());
  }
}

bool PostgresServer::running() const {
  return child_ && child_->running();
}

pid_t PostgresServer::pid() const {
  return child_->pid();
}

std::string PostgresServer::log() const {
  return child_ ? child_->error_output() : std::string();
}

}  // namespace lp::test
