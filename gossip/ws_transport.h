#pragma once
// WsTransport: the Transport port on websockets (Boost.Beast), one binary message a frame.
//
// An upgrade is accepted for the target /gossip/v1 only; anything else is answered 404. There is no
// compression, and no encryption: frames are authenticated above (session.h), TLS belongs beside
// it.
//
// Limits
//   a frame                 kFrameBytesMax; a longer one, or a text message, ends the link
//   inbound links           accept_max; of these at most 100 that have not finished the handshake
//   an upgrade request      8 KiB, 5 s
//   a name                  as long as the system's resolver takes
//   a dial                  3 s to resolve and connect, then 5 s for the handshake
//   silence                 20 s, with pings at half of it: then the link is down
//   frames queued to send   queue_bytes_max a link; beyond, the link ends: "peer too slow"
//   frames not consumed     kFramesUnread or 8 MiB a link, and 256 MiB over all links: reading
//   pauses closing                 1 s, then by force
//
// Threads: one of its own does everything and calls OnNetEvents. All methods may be called from any
// thread (from within OnNetEvents too), except stop() and the destructor: the owner's, never there.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "gossip/transport.h"

namespace holdfast::gossip {

struct WsTransportOptions {
  std::string listen;  // "host:port" or "[v6]:port"; port 0: the system picks one
  std::size_t accept_max = 1'000;
  std::size_t queue_bytes_max = 64u << 20;
};

class WsTransport final : public Transport {
 public:
  // Listens and runs. Errors: kInvalidArgument (not host:port, or no such host), kUnavailable (the
  // address is in use or not of this machine).
  static absl::StatusOr<std::unique_ptr<WsTransport>> start(WsTransportOptions options,
                                                            OnNetEvents on_events);
  ~WsTransport() override;  // as stop()

  void dial(const std::string& address) override;
  void resolve(const std::string& name) override;
  void send(LinkId link, FrameBytes frame) override;  // frame: 1 byte … kFrameBytesMax
  void close(LinkId link, const std::string& reason) override;
  void consumed(LinkId link, std::size_t frames) override;

  // Ends all links at once and tells their LinkDown. After it returns no event is told.
  void stop();
  std::uint16_t port() const;  // that it listens on

 private:
  class Core;
  explicit WsTransport(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace holdfast::gossip
