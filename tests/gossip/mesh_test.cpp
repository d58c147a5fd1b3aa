// Meshes among one another, in virtual time: everything arrives, once, whatever the network does.

#include "gossip/mesh.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "gossip/hmac.h"
#include "tests/gossip/support/net.h"

namespace holdfast::gossip {
namespace {

// `size` nodes that all reach one another, and have said what they had to say.
void settle(Net& net) {
  REQUIRE(net.run_until([&] { return net.all_reachable() && net.converged(); }, 20'000));
  net.run(3'000);
}
struct Settled : Net {
  explicit Settled(int size, std::uint64_t seed = 1) : Net(seed) {
    for (int i = 0; i < size; ++i) add();
    settle(*this);
  }
};

std::size_t count_frames(Net& net, std::size_t kind) { return net.frames_sent[kind]; }
constexpr std::size_t kNews = 3;
constexpr std::size_t kResume = 4;

bool has_rows(const Frame& frame) {
  const auto* news = std::get_if<News>(&frame);
  return news != nullptr && !news->parts.empty();
}

// What a node takes as known by a peer, the peer has.
bool no_false_acknowledgement(Net& net) {
  for (int a = 0; a < net.size(); ++a)
    for (int b = 0; b < net.size(); ++b)
      if (a != b &&
          net[a].mesh->view(net.now(), Net::id(b)).acknowledged > net[b].state->head(Net::id(a)))
        return false;
  return true;
}

bool is_ack(const Frame& frame) {
  const auto* news = std::get_if<News>(&frame);
  return news != nullptr && news->parts.empty();
}

// Node 1 shows node 0 a piece, as News that begin anew.
void inject_piece(Net& net, const crdt::Piece& piece) {
  net.inject(1, 0,
             encode(News{.number = 1'000,
                         .anew = true,
                         .names = {{piece.origin, piece.boot}},
                         .parts = {{.begins = true,
                                    .ends = true,
                                    .from = piece.from,
                                    .after = piece.after,
                                    .upto = piece.upto,
                                    .last = piece.last,
                                    .count = piece.count,
                                    .rows = piece.rows}}}));
}

TEST_SUITE("mesh") {
  // ── purged rows ──

  void put_holds(Net & net, int node, int first, int count) {
    net.turn(node, [&](Node& on) {
      for (int i = first; i < first + count; ++i) {
        crdt::HoldRow row;
        row.lines.push_back({.sku = "sku-1", .requested = 1, .held = 1});
        on.state->add_hold("hold-" + std::to_string(i), std::move(row));
      }
    });
  }
  void end_hold(Net & net, int node, int which) {
    net.turn(node, [&](Node& on) {
      on.state->change_hold(*on.state->own_hold("hold-" + std::to_string(which)),
                            [](crdt::HoldRow& row) { row.state = crdt::HoldState::released; });
    });
  }
  // What has ended at its home goes, up to its head.
  void purge(Net & net, int node) {
    net.turn(node, [&](Node& on) {
      std::vector<crdt::Hold*> ended;
      for (const auto& [at, hold] : on.state->holds())
        if (at.first == on.state->self() && hold->row.state != crdt::HoldState::held)
          ended.push_back(hold);
      on.state->purge(on.state->self(), ended, on.state->head(on.state->self()));
    });
  }
  std::size_t holds_sent(const Net& net, int from, int to) {
    return static_cast<std::size_t>(
        std::count_if(net.rows_sent.begin(), net.rows_sent.end(), [&](const RowSent& row) {
          return row.from == from && row.to == to && row.kind == crdt::RowKind::hold;
        }));
  }

  TEST_CASE("who stands below a floor is sent everything, by whoever tells it; others the floor") {
    Settled net(3);
    put_holds(net, 0, 0, 10);
    settle(net);
    for (const int peer : {0, 1}) net.cut(peer, 2, Net::Cut::reset);
    net.run(5'000);
    end_hold(net, 0, 3);
    net.run(1'000);
    net.rows_sent.clear();
    purge(net, 0);
    net.run(1'000);
    CHECK(net[1].state->hold("hold-3") == nullptr);
    CHECK(holds_sent(net, 0, 1) == 0);  // it has had the end
    CHECK(net[2].state->hold("hold-3")->row.state == crdt::HoldState::held);
    net.kill(0);
    net.heal();
    CHECK(net.run_until([&] { return net.converged(); }, 20'000));
    CHECK(holds_sent(net, 1, 2) == 9);  // all that there is, by a relay
    CHECK(net[2].state->hold("hold-3") == nullptr);
    CHECK(net[2].state->hold_count() == 9);
    net.rows_sent.clear();
    net.run(10'000);
    CHECK(holds_sent(net, 1, 2) == 0);  // once
  }

  TEST_CASE("a floor that rises while a long delta is sent: begun anew if it is not whole") {
    for (const bool from_the_beginning : {false, true}) {
      CAPTURE(from_the_beginning);
      Net net(1);
      const auto small = [](MeshConfig& config) {
        config.piece_bytes = 64;
        config.window_bytes = 64;
      };
      net.add(small);
      net.add(small);
      settle(net);
      if (!from_the_beginning) {
        put_holds(net, 0, 0, 3);
        settle(net);
      }
      net.stall(0, true);
      put_holds(net, 0, 3, 30);
      net.run(200);  // its first pieces are on their way
      if (!from_the_beginning) end_hold(net, 0, 1);
      end_hold(net, 0, 3);
      end_hold(net, 0, 30);
      net.run(200);
      purge(net, 0);
      net.run(200);
      net.stall(0, false);
      CHECK(net.run_until([&] { return net.converged(); }, 20'000));
      CHECK(net[1].state->hold("hold-3") == nullptr);
      CHECK(net[1].state->hold_count() == net[0].state->hold_count());
    }
  }

  // ── links ──

  TEST_CASE("all find one another, and one link a pair stays: the one that the lower id dialled") {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
      CAPTURE(seed);
      Net net(seed);
      const auto knows_all = [](MeshConfig& config) {
        config.peers = {"host-0:1", "host-1:1", "host-2:1", "host-3:1"};
      };
      for (int i = 0; i < 4; ++i) net.add(knows_all);  // so every pair dials from both sides
      settle(net);
      net.run(20'000);
      for (int a = 0; a < 4; ++a)
        for (int b = a + 1; b < 4; ++b) {
          CHECK(net.links(a, b) == 1);
          CHECK(net.dialled_by(a, b));
        }
    }
  }

  TEST_CASE("addresses are learnt from member rows") {
    Net net(1);
    net.add();
    for (int i = 1; i < 3; ++i) net.add([](MeshConfig& config) { config.peers = {"host-0:1"}; });
    for (int i = 0; i < 3; ++i)
      net.turn(i, [&](Node& node) {
        node.state->put_member({.region = node.config.region,
                                .node = node.config.node,
                                .gossip_address = node.config.gossip_address,
                                .wire_version = 1});
      });
    settle(net);
    CHECK(net.links(1, 2) == 1);
  }

  TEST_CASE("a name that two halves of a cluster saw differently brings them together") {
    Net net(1);
    const std::vector<std::string> all{"host-0:1", "host-1:1", "host-2:1", "host-3:1"};
    bool whole = false;
    net.resolve = [&](int node, const std::string& name) {
      CHECK(name == "all:1");
      if (whole) return all;
      const auto half = all.begin() + node / 2 * 2;
      return std::vector<std::string>(half, half + 2);
    };
    for (int i = 0; i < 4; ++i)
      net.add([](MeshConfig& config) {
        config.peers.clear();
        config.names = {"all:1"};
      });
    REQUIRE(net.run_until([&] { return net.links(0, 1) == 1 && net.links(2, 3) == 1; }, 10'000));
    net.run(20'000);
    CHECK(net.links(0, 2) + net.links(0, 3) + net.links(1, 2) + net.links(1, 3) == 0);
    whole = true;
    CHECK(net.run_until([&] { return net.all_reachable(); }, 10'000));
    net.run(1'000);
    const std::size_t dials = net[0].dials;
    net.run(60'000);
    CHECK(net[0].dials == dials);  // all are linked, and it is at peace
  }

  TEST_CASE("a node finds itself behind another name, and leaves it at that") {
    Net net(1);
    net.add([](MeshConfig& config) {
      config.gossip_address = "host-0:1";
      config.peers = {"host-0:1"};
    });
    net.run(5'000);
    CHECK(net[0].dials == 0);  // its own address by its own name
    Mesh mesh(net[0].config, 1);
    crdt::State state(Net::id(0));
    std::vector<MeshEvent> events;
    mesh.on_event(net.now(), LinkUp{1, "alias:1", std::string(32, 'a')}, state, events);
    mesh.on_event(net.now(), FrameIn{1, *mesh.take_effects().send.at(0).second}, state, events);
    CHECK(mesh.take_effects().close.size() == 1);
  }

  TEST_CASE("another process with this identity is refused, and said so") {
    Settled net(2);
    net.add([](MeshConfig& config) { config.self = Net::id(1); });  // a copy of node 1's directory
    net.run(30'000);
    CHECK(net[0].mesh->reachable(Net::id(1)));
    CHECK(net[0].noted("another live process has the identity"));
    CHECK(net[1].noted("another live process has this node's identity"));
    CHECK(net.links(0, 1) == 1);
    CHECK(net.links(0, 2) == 0);
    CHECK_FALSE(net[2].mesh->reachable(Net::id(0)));
  }

  TEST_CASE("a restarted peer takes its old link's place") {
    Settled net(2);
    net.write(1, 1);
    net.run(1'000);
    net.cut(0, 1, Net::Cut::silent);  // node 0 does not hear of the end
    auto rows = Net::copy(*net[1].state);
    net.run(4'000);
    net.heal();
    net.start_again(1, std::move(rows));
    CHECK(net.run_until([&] { return net.all_reachable(); }, 20'000));
    net.write(0, 2);
    CHECK(net.run_until([&] { return net.converged(); }, 5'000));
  }

  TEST_CASE("strangers are kept out, and come back ever less often") {
    for (const bool secret : {true, false}) {
      Net net(1);
      net.add();
      net.add([&](MeshConfig& config) { (secret ? config.secret : config.cluster) = "another"; });
      net.write(0, 1);
      net.run(20'000);
      CHECK_FALSE(net[0].mesh->reachable(Net::id(1)));
      CHECK_FALSE(net[1].mesh->reachable(Net::id(0)));
      CHECK(net[1].state->head(Net::id(0)) == 0);
      CHECK(net[0].noted(secret ? "wrong cluster secret" : "cluster 'another'"));
      CHECK(net[1].dials > 5);
      CHECK(net[1].dials < 40);  // at 1 – 2 s each once it has backed off
      CHECK(net.rows_sent.empty());
    }
  }

  TEST_CASE("who says nothing is cut off") {
    Settled net(1);
    std::vector<MeshEvent> events;
    Mesh& mesh = *net[0].mesh;
    mesh.on_event(net.now(), LinkUp{77, "", std::string(32, 'a')}, *net[0].state, events);
    net.run(6'000);
    CHECK(net[0].noted("no handshake in time"));
  }

  // ── what is sent ──

  TEST_CASE("in the steady state every row travels once to every node, and never back") {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      CAPTURE(seed);
      Settled net(3, seed);
      net.rows_sent.clear();
      Rng rng(seed);
      std::size_t versions = 0;
      for (int i = 0; i < 2'000; ++i) {  // a write each 3 ms, for longer than relays wait
        net.write(static_cast<int>(rng.below(3)), rng.below(50));
        net.run(3);
      }
      net.run(3'000);
      REQUIRE(net.converged());
      std::set<std::tuple<int, crdt::ReplicaId, std::string, crdt::Sequence>> seen;
      for (const RowSent& row : net.rows_sent) {
        CHECK(row.origin == Net::id(row.from));  // nobody relayed
        CHECK(row.origin != Net::id(row.to));
        CHECK(seen.emplace(row.to, row.origin, row.key, row.sequence).second);
        ++versions;
      }
      for (int i = 0; i < 3; ++i) CHECK(net[i].state->head(Net::id(i)) > 300);
      CHECK(versions <= 2 * 2'000);
      CHECK(count_frames(net, kResume) == 0);
    }
  }

  TEST_CASE("own rows are coalesced, unless they are urgent") {
    Settled net(2);
    net.rows_sent.clear();
    for (int i = 0; i < 100; ++i) {
      net.write(0, 1);
      net.run(1);
    }
    net.run(100);
    CHECK(net.rows_sent.size() >= 15);
    CHECK(net.rows_sent.size() <= 25);  // one each 5 ms
    CHECK(net[1].state->head(Net::id(0)) == 100);
    // Directly: what cut() makes while the interval is not over.
    Mesh& mesh = *net[0].mesh;
    crdt::State& state = *net[0].state;
    const auto pieces = [&](bool urgent) {
      std::string journal;
      state.change_stock(state.make_product("sku"), [](crdt::StockRow& row) { ++row.received; });
      state.seal(journal);
      mesh.cut(net.now(), state, urgent);
      return mesh.take_effects().send.size();
    };
    CHECK(pieces(false) == 1);
    CHECK(pieces(false) == 0);
    CHECK(pieces(true) == 1);
  }

  TEST_CASE("through a partial partition a third node relays, and echoes nothing") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      CAPTURE(seed);
      Net net(seed);
      for (int i = 0; i < 3; ++i) net.add();
      net.cut(0, 1, Net::Cut::reset);
      net.run(5'000);
      net.rows_sent.clear();
      for (int i = 0; i < 200; ++i) {
        net.write(i % 2, i % 17);
        net.run(5);
      }
      REQUIRE(net.run_until([&] { return net.converged(); }, 10'000));
      CHECK(net.links(0, 1) == 0);
      CHECK_FALSE(net[0].mesh->reachable(Net::id(1)));
      for (const RowSent& row : net.rows_sent) CHECK(row.origin != Net::id(row.to));
      std::set<std::tuple<int, int, crdt::ReplicaId, std::string, crdt::Sequence>> once;
      for (const RowSent& row : net.rows_sent)
        CHECK(once.emplace(row.from, row.to, row.origin, row.key, row.sequence).second);
      net.heal();
      REQUIRE(net.run_until([&] { return net.all_reachable(); }, 10'000));
      net.write(0, 3);
      CHECK(net.run_until([&] { return net.converged(); }, 3'000));
      CHECK(net.links(0, 1) == 1);
    }
  }

  TEST_CASE("rows that came a long way round are not told to who wrote them") {
    Settled net(3);
    net.lose = [](int from, int to, const Frame& frame) {
      return from == 0 && to == 2 && has_rows(frame);
    };
    net.rows_sent.clear();
    net.write(0, 1);
    net.run(4'000);
    CHECK(net.converged());  // by way of node 1
    for (const RowSent& row : net.rows_sent) CHECK(row.to != 0);
  }

  TEST_CASE("what a link brought does not go back on it, even if nothing was acknowledged") {
    Settled net(3);
    net.cut(0, 2, Net::Cut::reset);
    net.lose = [](int from, int to, const Frame& frame) {
      return from == 1 && to == 0 && is_ack(frame);
    };
    net.rows_sent.clear();
    net.write(2, 1);
    net.run(4'000);
    CHECK(net.converged());
    for (const RowSent& row : net.rows_sent) CHECK(row.from != 0);
  }

  TEST_CASE("a new node gets everything, in pieces, from whoever is first") {
    Net net(1);
    const auto small = [](MeshConfig& config) { config.piece_bytes = 200; };
    net.add(small);
    net.add(small);
    for (int i = 0; i < 500; ++i) net.write(i % 2, i);
    settle(net);
    net.add(small);
    REQUIRE(net.run_until([&] { return net.converged(); }, 20'000));
    CHECK(net[2].state->product_count() == 500);
    CHECK(net[2].deltas <= 6);  // whole ones
    CHECK(count_frames(net, kResume) == 0);
  }

  TEST_CASE("rows that are written while a delta is on its way") {
    Net net(3);
    const auto small = [](MeshConfig& config) {
      config.piece_bytes = 100;
      config.window_bytes = 300;
    };
    net.add(small);
    for (int i = 0; i < 300; ++i) net.write(0, i);
    net.add(small);
    for (int i = 0; i < 3'000; ++i) {
      net.write(0, i * 7 % 300);
      net.run(1);
    }
    CHECK(net.run_until([&] { return net.converged(); }, 10'000));
  }

  TEST_CASE("what is known about a peer") {
    Settled net(2);
    net.write(0, 1);
    net.run(2'000);
    const PeerView view = net[0].mesh->view(net.now(), Net::id(1));
    CHECK(view.connected);
    CHECK(view.reachable);
    CHECK(view.acknowledged == net[0].state->head(Net::id(0)));
    CHECK(view.rtt_ms >= 1);
    CHECK(view.rtt_ms <= 50);
    CHECK(view.last_heard_ms <= 1'000);
    const std::int64_t wall = net.now().wall.time_since_epoch().count();
    CHECK(view.as_of <= wall);
    CHECK(view.as_of >= wall - 2'000);
    CHECK(net[0].mesh->reachable_peers() == std::vector<ReplicaId>{Net::id(1)});
    const PeerView nobody = net[0].mesh->view(net.now(), Net::id(9));
    CHECK_FALSE(nobody.connected);
    CHECK(nobody.last_heard_ms == -1);
  }

  TEST_CASE("as_of stands still while what the peer wrote by then is not here") {
    Settled net(2);
    net.lose = [](int from, int, const Frame& frame) { return from == 1 && has_rows(frame); };
    const std::int64_t before = net.now().wall.time_since_epoch().count();
    net.write(1, 1);
    net.run(3'000);
    CHECK(net[0].mesh->view(net.now(), Net::id(1)).as_of <= before);
    net.lose = nullptr;
    net.run(10'000);
    CHECK(net.converged());
    CHECK(net[0].mesh->view(net.now(), Net::id(1)).as_of > before + 3'000);
  }

  // ── what is lost ──

  // Loses the n-th piece that node 0 sends.
  void lose_piece(Net & net, int n) {
    net.lose = [n, seen = 0](int from, int, const Frame& frame) mutable {
      return from == 0 && has_rows(frame) && ++seen == n;
    };
  }

  TEST_CASE("a lost delta is asked for again as soon as the next one shows it") {
    Settled net(2);
    net.write(0, 1);
    net.run(100);
    lose_piece(net, 1);
    net.write(0, 2);
    net.run(100);
    net.write(0, 3);
    net.run(100);
    CHECK(net.converged());
    CHECK(count_frames(net, kResume) == 1);
  }

  TEST_CASE("the very first delta of an origin is lost, and writes go on") {
    Settled net(2);
    lose_piece(net, 1);
    for (int i = 0; i < 20; ++i) {  // never quiet
      net.write(0, i);
      net.run(20);
    }
    net.run(100);
    CHECK(net.converged());
  }

  TEST_CASE("a lost delta that nothing follows is sent again in time") {
    Settled net(2);
    net.write(0, 1);
    net.run(1'000);
    lose_piece(net, 1);
    net.write(0, 2);
    net.run(4'000);
    CHECK_FALSE(net.converged());
    net.run(3'000);
    CHECK(net.converged());
  }

  TEST_CASE("a lost piece in the middle of a delta") {
    for (int n = 1; n <= 8; ++n) {
      CAPTURE(n);
      Net net(n);
      const auto small = [](MeshConfig& config) { config.piece_bytes = 40; };
      net.add(small);
      for (int i = 0; i < 30; ++i) net.write(0, i);
      net.add(small);
      lose_piece(net, n);
      CHECK(net.run_until([&] { return net.converged(); }, 10'000));
    }
  }

  TEST_CASE("a lost Start is sent again") {
    for (int n = 1; n <= 2; ++n) {  // one side's, the other's
      CAPTURE(n);
      Net net(n);
      net.add();
      net.write(0, 1);
      net.add();
      net.write(1, 2);
      net.lose = [n, seen = 0](int, int, const Frame& frame) mutable {
        return std::holds_alternative<Start>(frame) && ++seen == n;
      };
      CHECK(net.run_until([&] { return net.converged(); }, 6'000));
    }
  }

  TEST_CASE("Starts that cross do not answer each other for ever") {
    Net net(12);
    for (int i = 0; i < 2; ++i) net.add();
    REQUIRE(net.run_until([&] { return net.all_reachable(); }, 5'000));
    net.run(2'000);
    const std::size_t before = net.frames_sent[2];
    net.inject(0, 1, encode(Start{}));
    net.inject(1, 0, encode(Start{}));
    net.run(20'000);
    CHECK(net.frames_sent[2] - before >= 1);
    CHECK(net.frames_sent[2] - before <= 2);
  }

  TEST_CASE("a lost acknowledgement costs a repetition") {
    Settled net(2);
    net.lose = [once = true](int, int, const Frame& frame) mutable {
      return is_ack(frame) && std::exchange(once, false);
    };
    net.write(0, 1);
    net.run(20'000);
    CHECK(net.converged());
    CHECK(net[0].mesh->view(net.now(), Net::id(1)).acknowledged == 1);
    const std::size_t sent = net.rows_sent.size();
    net.run(20'000);
    CHECK(net.rows_sent.size() == sent);  // one repetition
    net.write(0, 2);
    net.run(1'000);
    CHECK(net[0].mesh->view(net.now(), Net::id(1)).acknowledged == 2);
  }

  TEST_CASE("an acknowledgement is lost and then nothing is said: News are asked for once") {
    Settled net(2);
    net.write(1, 1);
    net.run(1'000);
    net.lose = [once = true](int from, int, const Frame& frame) mutable {
      return from == 0 && is_ack(frame) && std::exchange(once, false);
    };
    net.write(1, 2);
    net.run(8'000);  // it is sent again, and acknowledged again: there the gap shows
    REQUIRE(count_frames(net, kResume) == 1);
    const std::size_t news = count_frames(net, kNews);
    net.run(20'000);
    CHECK(count_frames(net, kResume) == 1);
    CHECK(count_frames(net, kNews) == news);
  }

  TEST_CASE("News that were not used are not acknowledged") {
    Settled net(2);
    std::uint64_t applied = 0;
    net.lose = [&](int from, int, const Frame& frame) {
      if (const auto* news = std::get_if<News>(&frame); news != nullptr && from == 0)
        applied = std::max(applied, news->applied);
      return false;
    };
    const auto gap = [&](std::uint64_t number) {
      net.inject(1, 0,
                 encode(News{
                     .number = number,
                     .anew = true,
                     .names = {{Net::id(1), 0}},
                     .parts = {{.begins = true, .ends = true, .from = 7, .after = 7, .upto = 9}}}));
    };
    gap(1'000);  // is answered by Resume
    net.run(50);
    CHECK(applied < 1'000);
    gap(1'001);  // so soon again: this is not, yet
    net.run(2'000);
    CHECK(applied < 1'001);
    CHECK(count_frames(net, kResume) >= 1);
  }

  TEST_CASE("on a slow link Resumes cross with News, some are lost: nothing is taken for another") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
      CAPTURE(seed);
      Net net(seed);
      Rng rng(seed);
      for (int i = 0; i < 3; ++i) net.add();
      net.cut(0, 2, Net::Cut::reset);
      net.run(8'000);
      net.latency = [](int, int) { return 850; };
      double loss = 0;
      net.lose = [&](int, int, const Frame& frame) {
        return frame.index() > 2 && !std::holds_alternative<Heartbeat>(frame) && rng.chance(loss);
      };
      for (int i = 0; i < 600; ++i) {
        if (i % 25 == 0) loss = rng.chance(0.5) ? 0.5 : 0;
        net.write(static_cast<int>(rng.below(3)), rng.below(9));
        net.run(static_cast<std::int64_t>(rng.below(60)));
        REQUIRE(no_false_acknowledgement(net));
      }
      net.lose = nullptr;
      CHECK(net.run_until([&] { return net.converged(); }, 30'000));
      for (int i = 0; i < 3; ++i) CHECK_FALSE(net[i].noted("closing"));
    }
  }

  TEST_CASE("nothing rests: cuts, silence, loss and restarts by chance, then all agree") {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
      CAPTURE(seed);
      Net net(seed);
      Rng rng(seed * 77);
      const int size = 2 + static_cast<int>(rng.below(3));
      for (int i = 0; i < size; ++i)
        net.add([&](MeshConfig& config) {
          config.piece_bytes = 1 + rng.below(300);
          config.window_bytes = 1 + rng.below(2'000);
        });
      const double loss = rng.chance(0.5) ? 0.1 : 0;
      const auto far = static_cast<std::int64_t>(rng.chance(0.3) ? rng.below(900) : 0);
      net.latency = [far](int from, int to) { return from + to == 1 ? far : 0; };
      net.lose = [&](int, int, const Frame& frame) {
        // Not those of the handshake: a link that loses them ends after 5 s, and another test has
        // that.
        return frame.index() > 2 && rng.chance(loss);
      };
      for (int step = 0; step < 150; ++step) {
        const int a = static_cast<int>(rng.below(size)), b = static_cast<int>(rng.below(size));
        switch (rng.below(12)) {
          case 0:
            if (a != b) net.cut(a, b, Net::Cut::reset);
            break;
          case 1:
            if (a != b) net.cut(a, b, Net::Cut::silent);
            break;
          case 2:
            net.heal();
            break;
          case 3:
            if (rng.chance(0.2)) net.start_again(a, Net::copy(*net[a].state));
            break;
          case 4:
            net.stall(a, rng.chance(0.5));
            break;
          default:
            net.write(a, rng.below(40));
        }
        for (auto left = static_cast<int>(rng.below(400)); left > 0; left -= 10) {
          net.run(std::min(left, 10));
          REQUIRE(no_false_acknowledgement(net));
        }
      }
      net.heal();
      for (int i = 0; i < size; ++i) net.stall(i, false);
      net.lose = nullptr;
      CHECK(net.run_until([&] { return net.all_reachable() && net.converged(); }, 40'000));
      net.run(15'000);
      for (int a = 0; a < size; ++a)
        for (int b = a + 1; b < size; ++b) CHECK(net.links(a, b) == 1);
      for (int i = 0; i < size; ++i) CHECK(net[i].forks.empty());
    }
  }

  TEST_CASE("a link on which one direction is dead counts as down on both sides") {
    Settled net(2);
    net.lose = [](int from, int, const Frame&) { return from == 0; };
    net.run(4'000);
    CHECK_FALSE(net[0].mesh->reachable(Net::id(1)));
    CHECK_FALSE(net[1].mesh->reachable(Net::id(0)));
    net.run(20'000);
    CHECK(net[1].noted("silent for too long"));
    net.lose = nullptr;
    CHECK(net.run_until([&] { return net.all_reachable(); }, 20'000));
  }

  TEST_CASE("a slow peer costs a window, not a buffer") {
    Net net(1);
    const auto windowed = [](MeshConfig& config) {
      config.piece_bytes = 1'000;
      config.window_bytes = 10'000;
    };
    net.add(windowed);
    net.add(windowed);
    settle(net);
    net.stall(0, true);
    for (int i = 0; i < 20'000; ++i) net.write(0, i);
    net.run(2'000);
    CHECK(net.stalled_bytes(0) > 9'000);
    CHECK(net.stalled_bytes(0) < 12'500);  // the window, a piece, and heartbeats
    net.stall(0, false);
    CHECK(net.run_until([&] { return net.converged(); }, 20'000));
  }

  TEST_CASE("a way that has served relays at once; rows in vain end that") {
    Settled net(3);
    net.cut(0, 2, Net::Cut::reset);
    net.run(1'000);
    net.write(0, 1);
    net.run(300);
    CHECK_FALSE(net.converged());  // node 1 waits for the direct way
    REQUIRE(net.run_until([&] { return net.converged(); }, 2'000));
    net.run(300);
    net.write(0, 2);
    CHECK(net.run_until([&] { return net.converged(); }, 100));
    net.heal();
    REQUIRE(net.run_until([&] { return net.all_reachable(); }, 10'000));
    net.run(1'000);
    net.rows_sent.clear();
    for (int i = 0; i < 20; ++i) {
      net.write(0, 3 + i);
      net.run(50);
    }
    CHECK(net.converged());
    for (const RowSent& row : net.rows_sent) CHECK(row.from == 0);
  }

  // Nodes that see only some of the others.
  struct Overlay : Net {
    Overlay(int size, std::uint64_t seed, const std::function<bool(int, int)>& linked) : Net(seed) {
      for (int a = 0; a < size; ++a)
        for (int b = a + 1; b < size; ++b)
          if (!linked(a, b)) cut(a, b, Cut::reset);
      for (int i = 0; i < size; ++i) add();
      run(5'000);
    }
  };

  TEST_CASE("chains and rings: everything arrives at once when the ways are known, about once") {
    for (const int ring : {0, 5, 6})
      for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        CAPTURE(ring);
        CAPTURE(seed);
        const int size = ring == 0 ? 5 : ring;
        Overlay net(size, seed, [&](int a, int b) {
          return b == a + 1 || (ring > 0 && a == 0 && b == size - 1);
        });
        for (int i = 0; i < size; ++i) net.write(i, i);
        REQUIRE(net.run_until([&] { return net.converged(); }, 5'000));
        net.run(5'000);
        net.rows_sent.clear();
        const std::size_t needed = 200 * static_cast<std::size_t>(size - 1);
        for (int i = 0; i < 200; ++i) {
          net.write(i % size, i);
          net.run(20);
        }
        CHECK(net.run_until([&] { return net.converged(); }, 200));
        CHECK(net.rows_sent.size() >= needed);
        CHECK(net.rows_sent.size() <= needed * 11 / 10);
        CHECK(count_frames(net, kResume) == 0);
        net.run(2'000);
        const std::size_t news = count_frames(net, kNews), rows = net.rows_sent.size();
        net.run(20'000);
        CHECK(count_frames(net, kNews) == news);
        CHECK(net.rows_sent.size() == rows);
      }
  }

  TEST_CASE("when a way dies or falls silent another takes its place") {
    for (const bool dies : {true, false})
      for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        CAPTURE(dies);
        CAPTURE(seed);
        Overlay net(4, seed, [](int a, int b) { return !(a == 0 && b == 3); });
        int way = 0;
        for (int i = 0; i < 100; ++i) {
          net.rows_sent.clear();
          net.write(0, i);
          net.run(50);
          for (const RowSent& row : net.rows_sent)
            if (row.to == 3 && row.origin == Net::id(0)) way = row.from;
        }
        REQUIRE(way != 0);
        if (dies) {
          net.kill(way);
        } else {
          for (int i = 0; i < 4; ++i)
            if (i != way) net.cut(way, i, Net::Cut::silent);
        }
        const auto lag = [&] {
          return net[0].state->head(Net::id(0)) - net[3].state->head(Net::id(0));
        };
        for (int i = 0; i < 20; ++i) {  // a second
          net.write(0, i);
          net.run(50);
        }
        for (int i = 0; i < 20; ++i) {
          net.write(0, i);
          net.run(50);
          CHECK(lag() <= 1);
        }
      }
  }

  TEST_CASE("a far peer gets nothing twice: that it has something takes a while to be told") {
    Net net(1);
    net.latency = [](int from, int to) { return from == 2 || to == 2 ? 300 : 0; };
    for (int i = 0; i < 3; ++i) net.add();
    settle(net);
    net.rows_sent.clear();
    for (int i = 0; i < 500; ++i) {
      net.write(i % 3, i);
      net.run(20);
    }
    net.run(3'000);
    CHECK(net.converged());
    CHECK(net.rows_sent.size() == 1'000);
  }

  TEST_CASE("a link that takes another's place is as reachable as that one was") {
    for (const int dialler : {0, 1}) {
      CAPTURE(dialler);
      Net net(3);
      net.add();
      net.add();
      settle(net);
      const std::size_t before = net[0].notes.size() + net[1].notes.size();
      bool always = true;
      net.latency = [](int, int) { return 100; };
      // As if both had dialled at the same time.
      net.dial(dialler, "host-" + std::to_string(1 - dialler) + ":1");
      for (int i = 0; i < 2'000; ++i) {
        net.run(1);
        always = always && net.all_reachable();
      }
      CHECK(always);
      CHECK(net.links(0, 1) == 1);
      CHECK(net[0].notes.size() + net[1].notes.size() > before);  // one of the two was ended
      net.write(0, 1);
      net.write(1, 2);
      CHECK(net.run_until([&] { return net.converged(); }, 500));
      net.run(10'000);
      CHECK(net.all_reachable());
    }
  }

  TEST_CASE("an acknowledgement does not tell of what a peer has not sent") {
    Settled net(2);
    net.write(0, 1);
    net.run(1'000);
    const std::size_t news = net.frames_sent[kNews];
    net.run(10'000);
    CHECK(net.frames_sent[kNews] == news);  // nor does one answer another for ever
  }

  TEST_CASE("a malformed frame ends its session, and what follows it is not looked at") {
    Settled net(2);
    net.write(1, 5);
    net.run(1'000);
    const std::size_t calls = net[0].calls.size();
    const auto before = net[0].mesh->stats().malformed_frames;
    net.inject(1, 0, "noise");
    net.inject(1, 0, encode(Call{1, "after the noise"}));
    net.inject(1, 0, "more noise");
    CHECK(net[0].calls.size() == calls);
    CHECK(net[0].mesh->stats().malformed_frames == before + 1);
    CHECK_FALSE(net[0].mesh->reachable(Net::id(1)));
    net.run(10'000);
    CHECK(net.all_reachable());  // it may come back
  }

  TEST_CASE("malformed pieces end the session and change nothing") {
    Settled net(2);
    net.write(1, 5);
    net.run(1'000);
    const std::uint64_t digest = net[0].state->digest();
    const auto vector = net[0].state->vector();
    crdt::Piece piece;
    piece.origin = Net::id(1);
    piece.from = piece.after = net[0].state->head(Net::id(1));
    piece.upto = piece.from + 10;
    piece.count = 1;
    piece.rows = std::string(50, '\xff');
    inject_piece(net, piece);
    CHECK_FALSE(net[0].mesh->reachable(Net::id(1)));
    CHECK(net[0].state->digest() == digest);
    CHECK(net[0].state->vector() == vector);
  }

  TEST_CASE("nobody tells us what we wrote") {
    Settled net(2);
    net.write(0, 5);
    net.run(1'000);
    const auto head = net[0].state->head(Net::id(0));
    crdt::Piece piece;
    piece.origin = Net::id(0);
    piece.from = piece.after = head;
    piece.upto = head + 100;
    inject_piece(net, piece);
    net.run(100);
    CHECK(net[0].state->head(Net::id(0)) == head);
  }

  TEST_CASE("a delta that begins above what is here is not applied") {
    Settled net(2);
    net.write(1, 5);
    net.run(1'000);
    const auto head = net[0].state->head(Net::id(1));
    crdt::Piece piece;
    piece.origin = Net::id(1);
    piece.from = piece.after = head + 1;
    piece.upto = head + 2;
    inject_piece(net, piece);
    net.run(100);
    CHECK(net[0].state->head(Net::id(1)) == head);
    CHECK(count_frames(net, kResume) == 1);
  }

  // A mesh, and whoever talks to it by hand.
  struct Bare {
    MeshConfig config;
    Mesh mesh;
    crdt::State state;
    crdt::Now now{crdt::Instant(crdt::Millis(1'000'000)), {}};
    std::vector<MeshEvent> events;
    static MeshConfig make() {
      MeshConfig config;
      config.self = Net::id(0);
      config.boot = 1;
      config.region = config.node = "me";
      config.gossip_address = "me:1";
      config.cluster = "test";
      config.secret = "secret";
      return config;
    }
    Bare() : config(make()), mesh(config, 1), state(config.self) {}
    void up() { mesh.on_event(now, LinkUp{1, "", std::string(32, 'n')}, state, events); }
    void frame(std::string bytes) {
      mesh.on_event(now, FrameIn{1, std::move(bytes)}, state, events);
    }
    bool closed() { return !mesh.take_effects().close.empty(); }
    Hello hello() const {
      return {.cluster = "test",
              .replica = {9},
              .boot = 1,
              .region = "x",
              .node = "x-1",
              .gossip_address = "x:1",
              .nonce = std::string(32, 'm')};
    }
    // Shakes hands as someone who knows the secret.
    void befriend() {
      up();
      const auto sent = mesh.take_effects().send;
      frame(encode(hello()));
      frame(encode(
          Prove{hmac("secret", "holdfast dialler " + encode(hello()) + *sent.at(0).second)}));
    }
  };

  TEST_CASE("before the handshake nothing is taken") {
    for (const Frame& early :
         {Frame(Start{}), Frame(News{.number = 1}), Frame(Resume{}), Frame(Heartbeat{}),
          Frame(Call{1, "x"}), Frame(Answer{1, "x"}), Frame(Prove{})}) {
      Bare bare;
      bare.up();
      bare.frame(encode(early));
      CHECK(bare.closed());
      CHECK(bare.events.empty());
      Bare greeted;
      greeted.up();
      greeted.frame(encode(greeted.hello()));
      CHECK_FALSE(greeted.closed());
      greeted.frame(encode(early));
      CHECK(greeted.closed());
      CHECK(greeted.events.empty());
    }
    Bare long_winded;
    long_winded.up();
    Hello hello = long_winded.hello();
    hello.gossip_address.assign(100'000, 'a');
    long_winded.frame(encode(hello));
    CHECK(long_winded.closed());
  }

  TEST_CASE("the right handshake, by hand, is let in; a wrong role is not") {
    Bare bare;
    bare.befriend();
    CHECK_FALSE(bare.closed());
    bare.frame(encode(Call{5, "hello"}));
    REQUIRE(bare.events.size() == 1);
    CHECK(std::get<CallIn>(bare.events[0]).body == "hello");
    bare.frame(encode(bare.hello()));  // a second greeting
    CHECK(bare.closed());
    Bare reflected;
    reflected.up();
    const auto sent = reflected.mesh.take_effects().send;
    reflected.frame(encode(reflected.hello()));
    reflected.frame(encode(Prove{
        hmac("secret", "holdfast acceptor " + encode(reflected.hello()) + *sent.at(0).second)}));
    CHECK(reflected.closed());
    reflected.frame(encode(Call{5, "hello"}));
    CHECK(reflected.events.empty());
  }

  TEST_CASE("noise of every kind, before and after the handshake, is survived") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
      CAPTURE(seed);
      Rng rng(seed);
      Bare bare;
      if (rng.chance(0.7)) {
        bare.befriend();
      } else {
        bare.up();
      }
      for (int i = 0; i < 20; ++i) {
        bare.now.instant += crdt::Millis(rng.below(1'000));
        const auto number = [&] { return rng.chance(0.5) ? rng.below(5) : rng.next(); };
        std::vector<crdt::VectorEntry> vector;
        for (std::uint64_t id = rng.below(3); id < 6; id += 1 + rng.below(3))
          vector.push_back({{id == 5 ? Net::id(1) : ReplicaId{id}}, number(), number()});
        crdt::Piece piece;
        piece.origin = {rng.below(12)};
        piece.from = number();
        piece.after = rng.chance(0.5) ? piece.from : number();
        piece.upto = rng.chance(0.5) ? piece.after + rng.below(9) : number();
        piece.last = rng.chance(0.5);
        if (rng.chance(0.3)) piece.rows.assign(rng.below(40), static_cast<char>(rng.next()));
        const auto any_news = [&] {
          News news{.number = rng.chance(0.8) ? 1 + rng.below(3) : number(),
                    .anew = rng.chance(0.3),
                    .applied = number()};
          for (std::uint64_t n = rng.below(3); n > 0; --n)
            news.names.push_back({{rng.below(12)}, rng.below(3)});
          for (std::uint64_t n = rng.below(2); n > 0; --n)
            news.has.push_back({static_cast<std::uint32_t>(rng.below(3)), number()});
          for (std::uint64_t n = rng.below(3); n > 0; --n)
            news.parts.push_back({.name = static_cast<std::uint32_t>(rng.below(4)),
                                  .begins = rng.chance(0.5),
                                  .ends = rng.chance(0.7),
                                  .from = piece.from,
                                  .after = piece.after,
                                  .upto = piece.upto,
                                  .last = piece.last,
                                  .count = static_cast<std::uint32_t>(rng.below(3)),
                                  .rows = piece.rows});
          return news;
        };
        const Frame frames[] = {
            Start{vector},
            any_news(),
            any_news(),
            any_news(),
            Resume{vector},
            Heartbeat{number(), number(), number(), static_cast<std::int64_t>(number())},
            Call{number(), "x"},
            Answer{number(), "x"}};
        std::string bytes = encode(frames[rng.below(std::size(frames))]);
        if (rng.chance(0.05)) bytes[rng.below(bytes.size())] ^= 1;
        bare.frame(std::move(bytes));
        std::vector<MeshEvent> events;
        bare.mesh.tick(bare.now, bare.state, events);
        std::string journal;
        bare.state.change_stock(bare.state.make_product("sku"),
                                [](crdt::StockRow& row) { ++row.received; });
        bare.state.seal(journal);
        bare.mesh.cut(bare.now, bare.state, rng.chance(0.5));
        CHECK(bare.mesh.take_effects().send.size() < 100);
      }
      CHECK(bare.state.vector().size() == 1);
    }
  }

  TEST_CASE("a peer that names ever new replicas is cut off") {
    Bare bare;
    bare.befriend();
    bare.frame(encode(Start{}));
    int frames = 0;
    for (bool closed = false; !closed && frames < 100; ++frames) {
      News news{.number = 1u + frames, .anew = true};
      for (std::uint64_t n = 0; n < 400; ++n) {
        news.names.push_back({{1'000 + 400u * frames + n}, 0});
        news.has.push_back({static_cast<std::uint32_t>(n), 5});
      }
      bare.frame(encode(news));
      closed = bare.closed();
    }
    CHECK(frames == 3);
  }

  TEST_CASE("News that nobody sends: beyond the names, beyond the numbers") {
    const auto answer = [](const News& news) {
      Bare bare;
      bare.befriend();
      bare.frame(encode(Start{}));
      bare.frame(encode(news));
      CHECK(bare.events.empty());
      bare.mesh.cut(bare.now, bare.state, false);
      const MeshEffects effects = bare.mesh.take_effects();
      bool resume = false;
      for (const auto& [link, bytes] : effects.send)
        resume = resume || std::holds_alternative<Resume>(*decode(*bytes));
      return std::string(!effects.close.empty() ? "end" : resume ? "resume" : "nothing");
    };
    constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
    CHECK(answer({.number = 1}) == "nothing");
    CHECK(answer({.number = 1, .applied = kMost}) == "nothing");
    CHECK(answer({.number = 0}) == "resume");
    CHECK(answer({.number = 0, .anew = true}) == "resume");
    CHECK(answer({.number = 2}) == "resume");
    CHECK(answer({.number = kMost}) == "resume");
    CHECK(answer({.number = kMost, .anew = true}) == "nothing");
    CHECK(answer({.number = 1, .has = {{0, 7}}}) == "end");
    CHECK(answer({.number = 1, .parts = {{.name = 499, .ends = true, .upto = 7}}}) == "end");
    CHECK(answer({.number = 1, .names = {{}}, .parts = {{.ends = true, .upto = 7}}}) == "end");
  }

  TEST_CASE("a peer that knows more of us than we do shows a fork") {
    Settled net(2);
    net.write(0, 1);
    auto old = Net::copy(*net[0].state);
    net.write(0, 2);
    net.run(1'000);
    REQUIRE(net.converged());
    net.start_again(0, std::move(old));
    net.run(10'000);
    REQUIRE_FALSE(net[0].forks.empty());
    CHECK(net[0].forks[0].find("node-1 has writes of this replica up to 2") != std::string::npos);
    CHECK(net[1].forks.empty());
  }

  // A Resume says how far the peer is, not which of our boots it has: by that alone all of them
  // would be void, and with them what the peer has of the history that stands.
  TEST_CASE("a fork that a Resume shows asks from which boot on it is one") {
    Bare bare;
    std::string journal;
    bare.state.put_member({.boots = {{1, 11}, {3, 22}}});
    bare.state.seal(journal);
    bare.befriend();
    bare.frame(encode(Start{}));
    bare.mesh.take_effects();
    const std::vector<crdt::VectorEntry> vector{{bare.config.self, 5, 33}};
    bare.frame(encode(Resume{vector}));
    CHECK(bare.events.empty());
    const MeshEffects effects = bare.mesh.take_effects();
    CHECK(effects.close.empty());
    REQUIRE(effects.send.size() == 1);
    CHECK(std::holds_alternative<Start>(*decode(*effects.send[0].second)));
    const std::vector<crdt::Boot> theirs{{1, 11}, {4, 33}};
    bare.frame(encode(Start{vector, theirs}));
    REQUIRE(bare.events.size() == 1);
    CHECK(std::get<Forked>(bare.events[0]).theirs == theirs);
  }

  // A directory was copied in use and the copy started: two histories of replica 5, which parted at
  // write 2. Here are the copy's rows; the peer had all that was here when its link began.
  struct Parted {
    Bare bare;
    explicit Parted(std::uint64_t peers_boot) {
      bare.befriend();
      bare.frame(encode(Start{}));
      crdt::State copy(ReplicaId{5});
      std::string journal;
      const auto write = [&] {
        copy.change_stock(copy.make_product("s"), [](crdt::StockRow& row) { ++row.received; });
      };
      copy.put_member({.boots = {{1, 11}}});
      write();
      copy.seal(journal);
      copy.put_member({.boots = {{1, 11}, {3, 22}}});
      copy.seal(journal);
      const crdt::Feed& feed = *copy.feed({5});
      for (auto at = feed.begin_after(0); at != feed.end(); ++at) {
        std::string bytes;
        crdt::append_item(*at->second, bytes);
        REQUIRE(bare.state.merge({5}, *crdt::decode_row(bytes)).ok());
      }
      bare.state.advance({5}, 3);
      write();
      copy.seal(journal);
      rows = crdt::cut_piece(copy, {5}, 3, 3, 1'000).rows;
      bare.mesh.take_effects();
      News news{.number = 1, .names = {{{5}, peers_boot}}, .has = {{0, 3}}};
      bare.frame(encode(news));
      says = bare.mesh.take_effects().notes.size();
      news = {.number = 2, .parts = {{.begins = true, .from = 3, .after = 3, .count = 1}}};
      news.parts[0].rows = rows;
      bare.frame(encode(news));
    }
    std::string rows;
    std::size_t says = 0;
  };

  TEST_CASE("rows without their origin's member row are of the history that is here, or refused") {
    Parted other(11);  // the original's; the link that brings them compared nothing since
    CHECK(other.says == 1);
    CHECK(other.bare.events.empty());
    Parted unknown(33);
    CHECK(unknown.says == 1);
    CHECK(unknown.bare.events.empty());
    Parted same(22);
    CHECK(same.says == 0);
    REQUIRE(same.bare.events.size() == 1);
    CHECK(std::get<DeltaIn>(same.bare.events[0]).delta.to == 4);
    CHECK_FALSE(same.bare.closed());
  }

  TEST_CASE("a delta of another history that no word of what the peer has came before") {
    Parted same(22);
    crdt::Delta delta{.origin = {5}, .from = 3, .to = 4, .boot = 11};
    CHECK_FALSE(same.bare.mesh.belongs(delta, same.bare.state));
    delta.boot = 22;
    CHECK(same.bare.mesh.belongs(delta, same.bare.state));
    delta.boot = 0;
    CHECK(same.bare.mesh.belongs(delta, same.bare.state));    // judged by sequence alone
    delta = {.origin = {5}, .from = 0, .to = 2, .boot = 11};  // an old one, of what both have
    CHECK(same.bare.mesh.belongs(delta, same.bare.state));
  }

  // ── calls ──

  TEST_CASE("a call finds its way, and its answer the way back") {
    Settled net(2);
    std::uint64_t id = 0;
    net.turn(0, [&](Node& node) { id = node.mesh->call(Net::id(1), "question"); });
    CHECK(id != 0);
    net.run(50);
    REQUIRE(net[1].calls.size() == 1);
    CHECK(net[1].calls[0].peer == Net::id(0));
    CHECK(net[1].calls[0].body == "question");
    net.turn(1, [&](Node& node) {
      node.mesh->answer(net[1].calls[0].link, net[1].calls[0].id, "answer");
      node.mesh->answer(net[1].calls[0].link, 999, "to nobody");
    });
    net.run(50);
    CHECK(net[0].answers.size() == 1);
    CHECK(net[0].answers[id] == "answer");
    CHECK(net[0].lost.empty());
    net.run(100'000);
    CHECK(net[0].lost.empty());
    CHECK(net[0].mesh->call(Net::id(9), "x") == 0);  // nobody
  }

  TEST_CASE("calls are lost with their link, with its silence, and with too much time") {
    const auto ask = [](Net& net) {
      std::uint64_t id = 0;
      net.turn(0, [&](Node& node) { id = node.mesh->call(Net::id(1), "question"); });
      REQUIRE(id != 0);
      return std::vector<std::uint64_t>{id};
    };
    Settled reset(2);
    const auto a = ask(reset);
    reset.cut(0, 1, Net::Cut::reset);
    reset.run(10);
    CHECK(reset[0].lost == a);
    Settled silent(2);
    const auto b = ask(silent);
    silent.cut(0, 1, Net::Cut::silent);
    silent.run(4'000);
    CHECK(silent[0].lost == b);
    CHECK(silent[0].mesh->call(Net::id(1), "x") == 0);
    Settled patient(2);
    const auto c = ask(patient);
    patient.run(59'000);
    CHECK(patient[0].lost.empty());
    patient.run(2'000);
    CHECK(patient[0].lost == c);
  }

  TEST_CASE("an answer on another link than the call's is none") {
    Settled net(3);
    std::uint64_t id = 0;
    net.turn(0, [&](Node& node) { id = node.mesh->call(Net::id(1), "question"); });
    net.inject(2, 0, encode(Answer{id, "forged"}));
    CHECK(net[0].answers.empty());
  }

  // ── drills ──

  TEST_CASE("a dropped link: unreachable on both sides, and all agree after it is lifted") {
    Settled net(3);
    net.turn(0, [&](Node& node) { node.mesh->set_fault(net.now(), "node-1", {.drop = true}); });
    net.inject(1, 0, encode(Call{1, "into the dark"}));
    CHECK(net[0].calls.empty());
    net.run(4'000);
    CHECK_FALSE(net[0].mesh->reachable(Net::id(1)));
    CHECK_FALSE(net[1].mesh->reachable(Net::id(0)));
    CHECK(net[0].mesh->reachable(Net::id(2)));
    for (int i = 0; i < 3; ++i) net.write(i, i);
    CHECK(net.run_until([&] { return net.converged(); }, 5'000));  // by way of node 2
    net.run(30'000);
    net.turn(0, [&](Node& node) { CHECK(node.mesh->clear_fault(net.now(), "node-1")); });
    CHECK(net.run_until([&] { return net.all_reachable(); }, 10'000));
    net.turn(0, [&](Node& node) { CHECK_FALSE(node.mesh->clear_fault(net.now(), "node-1")); });
  }

  TEST_CASE("a short drop keeps the link, and what was sent into the dark is sent again") {
    Settled net(2);
    net.turn(0, [&](Node& node) { node.mesh->set_fault(net.now(), "region-1", {.drop = true}); });
    net.write(0, 1);
    net.write(1, 2);
    net.run(3'200);
    CHECK_FALSE(net.converged());
    net.turn(0, [&](Node& node) { node.mesh->clear_fault(net.now(), "region-1"); });
    // Before it would be sent again for want of an acknowledgement.
    CHECK(net.run_until([&] { return net.converged() && net.all_reachable(); }, 1'500));
    CHECK(net.links(0, 1) == 1);
  }

  TEST_CASE("loss by chance slows convergence down, and no more") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      CAPTURE(seed);
      Settled net(2, seed);
      net.turn(0, [&](Node& node) { node.mesh->set_fault(net.now(), "node-1", {.loss = 0.3}); });
      for (int i = 0; i < 200; ++i) {
        net.write(i % 2, i % 13);
        net.run(20);
      }
      CHECK(net.run_until([&] { return net.converged(); }, 60'000));
    }
  }

  TEST_CASE("delay is added both ways, order is kept, also when it is lifted") {
    Settled net(2);
    net.turn(0, [&](Node& node) {
      node.mesh->set_fault(net.now(), "node-1", {.delay = crdt::Millis(300)});
    });
    net.run(3'000);
    CHECK(net[0].mesh->view(net.now(), Net::id(1)).rtt_ms >= 600);
    CHECK(net[0].mesh->reachable(Net::id(1)));
    for (int i = 0; i < 300; ++i) {
      net.write(0, i % 10);
      net.write(1, i % 10);
      net.run(3);
    }
    CHECK(net[1].state->head(Net::id(0)) < net[0].state->head(Net::id(0)));
    net.turn(0, [&](Node& node) { node.mesh->clear_fault(net.now(), "node-1"); });
    for (int i = 0; i < 100; ++i) {
      net.write(0, i % 10);
      net.write(1, i % 10);
      net.run(3);
    }
    CHECK(net.run_until([&] { return net.converged(); }, 1'000));
    CHECK(count_frames(net, kResume) == 0);  // nothing overtook anything
    net.run(2'000);
    CHECK(net[0].mesh->view(net.now(), Net::id(1)).rtt_ms < 50);
  }

  TEST_CASE("a delayed link holds a window, not the whole state") {
    Net net(1);
    const auto windowed = [](MeshConfig& config) {
      config.piece_bytes = 1'000;
      config.window_bytes = 10'000;
    };
    net.add(windowed);
    net.add(windowed);
    settle(net);
    net.turn(0, [&](Node& node) {
      node.mesh->set_fault(net.now(), "node-1", {.delay = crdt::Millis(900)});
    });
    net.run(3'000);
    const auto before = net[0].mesh->stats().bytes_sent;
    for (int i = 0; i < 5'000; ++i) net.write(0, i);
    net.run(800);
    CHECK(net[0].mesh->stats().bytes_sent - before < 12'500);
    CHECK(net.run_until([&] { return net.converged(); }, 60'000));
  }

  TEST_CASE("a long delta comes to its end over a link that seems dead now and then") {
    Net net(1);
    const auto windowed = [](MeshConfig& config) {
      config.piece_bytes = 1'000;
      config.window_bytes = 5'000;
    };
    net.add(windowed);
    net.add(windowed);
    settle(net);
    net.turn(0, [&](Node& node) {
      node.mesh->set_fault(net.now(), "node-1", {.delay = crdt::Millis(300)});
    });
    net.lose = [&](int, int, const Frame& frame) {
      return std::holds_alternative<Heartbeat>(frame) &&
             net.now().instant.time_since_epoch().count() % 5'000 < 3'500;
    };
    for (int i = 0; i < 5'000; ++i) net.write(0, i);
    CHECK(net.run_until([&] { return net.converged(); }, 60'000));
    CHECK(net[0].noted("is unreachable"));
  }
}

}  // namespace
}  // namespace holdfast::gossip
