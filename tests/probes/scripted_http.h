// A small HTTP server for tests of clients: whole answers by path, on 127.0.0.1.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace lp::test {

class ScriptedHttp {
 public:
  /// Bytes to send for each path, status line and all; any other path gets a 404. An empty text is
  /// answered with silence. Throws where it cannot listen.
  explicit ScriptedHttp(std::map<std::string, std::string> answers);
  ~ScriptedHttp();
  ScriptedHttp(const ScriptedHttp&) = delete;
  ScriptedHttp& operator=(const ScriptedHttp&) = delete;

  [[nodiscard]] std::uint16_t port() const;

  /// A 200 with this body, a JSON content type and this Date, none where it is empty.
  [[nodiscard]] static std::string ok(const std::string& body, const std::string& date = "");

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lp::test
