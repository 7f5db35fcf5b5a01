// Ports of this machine, for tests of what listens on them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sdg/core/error.h"

namespace sdg::test {

// A port that somebody listens on while this lives.
class TakenPort {
 public:
  TakenPort() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    socklen_t size = sizeof(address);
    auto* const place = reinterpret_cast<sockaddr*>(&address);
    SDG_CHECK(
        ::bind(socket_, place, size) == 0 && ::listen(socket_, 1) == 0 && ::getsockname(socket_, place, &size) == 0,
        "no port to be had");
    number_ = ntohs(address.sin_port);
  }
  TakenPort(const TakenPort&) = delete;
  TakenPort& operator=(const TakenPort&) = delete;
  ~TakenPort() { ::close(socket_); }

  int number() const { return number_; }

 private:
  int socket_, number_ = 0;
};

// One that nobody listens on now.
inline int free_port() {
  return TakenPort().number();
}

}  // namespace sdg::test
