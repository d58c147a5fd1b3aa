#include "gossip/session.h"

#include "gossip/hmac.h"

namespace holdfast::gossip {

Session::Session(LinkUp&& up, crdt::Instant now, const MeshConfig& config)
    : link(up.link),
      dialled(!up.address.empty()),
      address(std::move(up.address)),
      opened(now),
      last_frame(now),
      cluster_(config.cluster) {
  own_hello_.cluster = config.cluster;
  own_hello_.replica = config.self;
  own_hello_.boot = config.boot;
  own_hello_.region = config.region;
  own_hello_.node = config.node;
  own_hello_.gossip_address = config.gossip_address;
  own_hello_.nonce = std::move(up.nonce);
}

absl::Status Session::greet(Hello&& hello) {
  if (phase != Phase::greeting || peer.replica)
    return absl::InvalidArgumentError("a second greeting on one link");
  // Before anything of it is told to anyone.
  if (!crdt::valid_name(hello.cluster) || !crdt::valid_name(hello.region) ||
      !crdt::valid_name(hello.node))
    return absl::InvalidArgumentError("a greeting whose names are none");
  if (hello.cluster != cluster_)
    return absl::FailedPreconditionError("it belongs to cluster '" + hello.cluster +
                                         "', this node to '" + cluster_ + "'");
  if (hello.nonce.size() != 32 || !hello.replica)
    return absl::InvalidArgumentError("a greeting without a nonce or an identity");
  if (hello.wire_version == 0)
    return absl::InvalidArgumentError("a greeting without a wire version");
  peer = std::move(hello);
  phase = Phase::proving;
  return absl::OkStatus();
}

std::string Session::signed_text(bool by_dialler) const {
  const std::string own = encode(own_hello_), other = encode(peer);
  return (by_dialler ? "holdfast dialler " : "holdfast acceptor ") +
         (dialled ? own + other : other + own);
}

Prove Session::proof(const MeshConfig& config) const {
  return {.mac = hmac(config.secret, signed_text(dialled))};
}

bool Session::proves(const Prove& prove, const MeshConfig& config) const {
  return equal_secrets(prove.mac, hmac(config.secret, signed_text(!dialled)));
}

}  // namespace holdfast::gossip
