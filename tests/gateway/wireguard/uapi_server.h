// A user-space WireGuard's socket, with a device that keeps what it is given and answers as the
// test says.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace lp::test {

class UapiServer {
 public:
  /// What it does with a request.
  struct Behaviour {
    bool applies = true;
    bool answers = true;  ///< else the connection stays open and silent
    int error = 0;        ///< the errno of its answers to set=1; what has an error is not applied
    std::optional<std::string> raw = std::nullopt;  ///< in place of any answer, then it closes
    bool endless = false;                           ///< `raw` again and again
    std::chrono::milliseconds delay{0};             ///< before it answers
  };
  /// The lines of a peer besides its key, as they are set.
  using Lines = std::map<std::string, std::string>;
  struct Peer {
    Lines lines;
    std::vector<std::string> allowed_ips;
    friend bool operator==(const Peer&, const Peer&) = default;
  };
  struct State {
    std::string private_key;  ///< hexadecimal; empty: none
    std::string listen_port = "0";
    std::map<std::string, Peer> peers;  ///< by key in hexadecimal
  };

  explicit UapiServer(std::filesystem::path socket);
  ~UapiServer();

  void behave(Behaviour behaviour);
  /// Goes away: the socket is removed and connections are closed.
  void stop();
  /// Comes (back) with an empty device.
  void start();
  /// Stops accepting while the socket stays.
  void stop_accepting();

  /// Every request so far, in order.
  [[nodiscard]] std::vector<std::string> requests() const;
  void forget_requests();
  [[nodiscard]] State state() const;
  void set_state(State state);

 private:
  void serve();
  void handle(int fd);
  void apply(const std::string& request);
  [[nodiscard]] std::string listing() const;

  const std::filesystem::path socket_;
  int listening_ = -1;
  int wake_ = -1;
  std::thread thread_;
  std::vector<int> held_;  // connections that get no answer; serve() only

  mutable std::mutex mutex_;
  std::condition_variable stopping_changed_;
  bool stopping_ = false;
  bool accepting_ = true;
  Behaviour behaviour_;
  std::vector<std::string> requests_;
  State state_;
};

}  // namespace lp::test
