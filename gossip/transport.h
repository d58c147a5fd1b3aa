#pragma once
// The port to the network, as the engine's driver sees it.
//
// A link is one connection between two nodes, named by a number that is never used again while the
// process lives. On a link frames arrive whole and in order, or the link ends. Which links exist is
// decided by the pure side (mesh.h); the transport only dials, accepts, carries and closes.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace holdfast::gossip {

using LinkId = std::uint64_t;
using FrameBytes = std::shared_ptr<const std::string>;

// What a frame may measure, on every link. A longer one ends the link before it is read.
inline constexpr std::size_t kFrameBytesMax = 4u << 20;

// ── what the transport tells ──
struct LinkUp {
  LinkId link = 0;
  std::string address;  // as dialled; empty: the other side dialled
  std::string nonce;    // 32 random bytes, made for this link
};
struct LinkDown {
  LinkId link = 0;  // 0: a dial that never came up
  std::string address;
  std::string reason;  // for people
};
struct FrameIn {
  LinkId link = 0;
  std::string bytes;
};
struct FramesSent {  // bytes that have left this process on the link since the last such event
  LinkId link = 0;
  std::size_t bytes = 0;
};
struct Resolved {
  std::string name;
  std::vector<std::string> addresses;  // host:port, each once; none: nobody could say
};
using NetEvent = std::variant<LinkUp, LinkDown, FrameIn, FramesSent, Resolved>;
// Called from the transport's threads, many events at a time; must not block.
using OnNetEvents = std::function<void(std::vector<NetEvent>&&)>;

// Any thread; none blocks.
class Transport {
 public:
  virtual ~Transport() = default;
  // Ends in exactly one LinkUp or LinkDown{0, address}.
  virtual void dial(const std::string& address) = 0;
  // Ends in exactly one Resolved: which addresses a name's "host:port" stands for now. (A network
  // without names is asked for none.)
  virtual void resolve(const std::string& /*name*/) {}
  // Queues a frame. Unknown or closed links drop it silently: LinkDown has been or will be told.
  virtual void send(LinkId link, FrameBytes frame) = 0;
  // Closes after what is queued has been written or 1 s has gone by. LinkDown follows.
  virtual void close(LinkId link, const std::string& reason) = 0;
  // The engine has taken `frames` more FrameIn of this link: as many may be read on. At most
  // kFramesUnread are handed over without such leave, so a fast peer cannot fill the memory.
  virtual void consumed(LinkId link, std::size_t frames) = 0;
};

inline constexpr std::size_t kFramesUnread = 64;

}  // namespace holdfast::gossip
