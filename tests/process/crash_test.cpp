// kill -9 and SIGTERM under load: what was acknowledged is there afterwards, with the same outcome.

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "tests/process/support/cluster.h"

using namespace process;

namespace {

struct Fate {
  std::string state;  // as acknowledged: held, committed, released
  std::string home;
};
using Ledger = std::map<std::string, Fate>;

constexpr std::int64_t kStock = 1'000'000;

std::string sku_of(int number) { return "crash-" + std::to_string(number % 7); }

// One storefront: reserves with ids of its own and ends two of three holds, until the node is gone.
// Returns what was acknowledged; `attempts` counts ids, answered or not.
Ledger sell(int port, const std::string& prefix, const std::atomic<bool>& go_on) {
  Client client(port);
  Ledger acknowledged;
  try {
    for (int i = 0; go_on; ++i) {
      const std::string id = prefix + std::to_string(i);
      const auto held = client.put("/v1/reservations/" + id, reservation(sku_of(i), 1 + i % 3));
      if (held.status != 201) continue;
      acknowledged[id] = {"held", held.text("/home")};
      if (i % 3 == 0) continue;
      const std::string verb = i % 3 == 1 ? "commit" : "release";
      if (client.post("/v1/reservations/" + id + "/" + verb).status == 200) {
        acknowledged[id].state = verb == "commit" ? "committed" : "released";
      } else {
        acknowledged.erase(id);  // a refusal says nothing of the end that was asked for
      }
    }
  } catch (const NoAnswer&) {
  }
  return acknowledged;
}

// A verb whose answer was lost may have happened: `held` may have become any end that was asked
// for.
bool compatible(const std::string& acknowledged, const std::string& found) {
  return acknowledged == found ||
         (acknowledged == "held" && (found == "committed" || found == "released"));
}

void check_all_there(Client& client, const Ledger& ledger) {
  std::size_t missing = 0;
  for (const auto& [id, fate] : ledger) {
    const auto now = client.get("/v1/reservations/" + id);
    const bool good = now.status == 200 && compatible(fate.state, now.text("/state")) &&
                      now.text("/home") == fate.home;
    if (!good && ++missing <= 5) {
      FAIL_CHECK(id << " was acknowledged " << fate.state << ", and is " << now);
    }
  }
  CHECK(missing == 0);
}

struct Totals {
  std::map<std::string, std::int64_t> held, sold;
};

// Sums over all reservations, as the lists tell them.
Totals listed_totals(Client& client) {
  Totals totals;
  std::string cursor;
  do {
    const auto page =
        client.get("/v1/reservations?limit=500" + (cursor.empty() ? "" : "&cursor=" + cursor));
    REQUIRE(page.status == 200);
    const auto json = page.json();
    for (const auto& item : json.at("items").as_array()) {
      const auto& state = item.at("state").as_string();
      for (const auto& line : item.at("lines").as_array()) {
        const std::string sku = line.at("sku").as_string().c_str();
        if (state == "held") totals.held[sku] += line.at("held").to_number<std::int64_t>();
        if (state == "committed")
          totals.sold[sku] += line.at("committed").to_number<std::int64_t>();
      }
    }
    cursor = json.at("next").is_null() ? "" : json.at("next").as_string().c_str();
  } while (!cursor.empty());
  return totals;
}

void check_books(Node& node) {
  auto totals = listed_totals(node.http());
  for (int i = 0; i < 7; ++i) {
    const auto view = node.http().get("/v1/skus/" + sku_of(i) + "/stock");
    CHECK(view.number("/held") == totals.held[sku_of(i)]);
    CHECK(view.number("/sold") == totals.sold[sku_of(i)]);
    CHECK(view.number("/on_hand") == kStock - totals.sold[sku_of(i)]);
    CHECK(view.number("/available") == view.number("/on_hand") - view.number("/held"));
    CHECK(view.number("/oversold") == 0);
  }
}

// Load by `clients` threads until `end()` has been called on the main thread.
template <typename End>
Ledger under_load(Node& node, const std::string& prefix, int clients, Millis for_about, End end) {
  std::atomic<bool> go_on{true};
  std::vector<Ledger> ledgers(static_cast<std::size_t>(clients));
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i) {
    threads.emplace_back([&, i] {
      const auto own = prefix + std::to_string(i) + "-";
      ledgers[static_cast<std::size_t>(i)] = sell(node.http_port(), own, go_on);
    });
  }
  std::this_thread::sleep_for(for_about);
  end();
  go_on = false;
  for (auto& thread : threads) thread.join();
  Ledger all;
  for (auto& ledger : ledgers) all.merge(ledger);
  return all;
}

void stock_everything(Node& node) {
  for (int i = 0; i < 7; ++i) stock_up(node, sku_of(i), kStock);
}

}  // namespace

TEST_SUITE("process/crash") {
  TEST_CASE("kill -9 under load, again and again: every acknowledgement holds") {
    TemporaryDirectory directory;
    NodeOptions options;
    options.arguments = {"--set",
                         "store.checkpoint_bytes=1048576"};  // so that kills hit checkpoints
    Node node(directory.path(), options);
    node.start();
    stock_everything(node);
    Ledger all;
    std::mt19937 random(20'240'229);
    for (int round = 0; round < 7; ++round) {
      const Millis load(300 + static_cast<int>(random() % 900));
      auto acknowledged =
          under_load(node, "k" + std::to_string(round) + "-", 4, load, [&] { node.kill_now(); });
      CHECK(acknowledged.size() > 10);
      node.start();
      check_all_there(node.http(), acknowledged);
      all.merge(acknowledged);
    }
    check_all_there(node.http(), all);
    check_books(node);
    // The same requests again: the same reservations.
    std::size_t repeated = 0;
    for (const auto& [id, fate] : all) {
      if (++repeated > 200) break;
      const int number = std::stoi(id.substr(id.rfind('-') + 1));
      const auto again =
          node.http().put("/v1/reservations/" + id, reservation(sku_of(number), 1 + number % 3));
      CHECK(again.status == 200);
    }
    check_books(node);
  }

  TEST_CASE("killed while it starts") {
    TemporaryDirectory directory;
    Node node(directory.path(), NodeOptions{});
    node.start();
    stock_everything(node);
    const auto all = under_load(node, "s-", 2, Millis(500), [&] { node.kill_now(); });
    for (int round = 0; round < 6; ++round) {
      node.launch();
      std::this_thread::sleep_for(Millis(7 * round));
      node.kill_now();
    }
    node.start();
    check_all_there(node.http(), all);
    check_books(node);
  }

  TEST_CASE("idempotency keys survive a kill") {
    TemporaryDirectory directory;
    Node node(directory.path(), NodeOptions{});
    node.start();
    stock_up(node, "kept", 0);
    const Headers key = {{"Idempotency-Key", "delivery-1"}};
    const auto first = node.http().post("/v1/skus/kept/receipts", quantity(5), key);
    REQUIRE(first.ok());
    node.kill_now();
    node.start();
    const auto again = node.http().post("/v1/skus/kept/receipts", quantity(5), key);
    CHECK(again.status == first.status);
    CHECK(again.body == first.body);
    CHECK(node.http().post("/v1/skus/kept/receipts", quantity(6), key).status == 422);
    CHECK(stock(node, "kept", "on_hand") == 5);
  }

  TEST_CASE("a node is killed and restarted while the others hold: equal rows, nothing oversold") {
    Cluster cluster({"ap", "eu", "us"});
    cluster.start_all();
    constexpr std::int64_t kUnits = 600;
    stock_up(cluster[0], "last", kUnits);
    for (std::size_t i = 1; i < 3; ++i) {
      REQUIRE(cluster[0]
                  .http()
                  .post("/v1/skus/last/grants",
                        R"({"to":")" + cluster.region(i) + R"(","quantity":200})")
                  .ok());
      cluster.wait_local(i, "last", 200);
    }
    std::atomic<bool> go_on{true};
    std::atomic<std::int64_t> won{0};
    const auto storefront = [&](std::size_t i) {
      for (int n = 0; go_on && n < 400; ++n) {
        const std::string id = "w-" + cluster.region(i) + "-" + std::to_string(n);
        try {
          Client client(cluster[i].http_port());
          const auto answer =
              client.put("/v1/reservations/" + id, reservation("last", 1, R"("wait_ms":20)"));
          if (answer.status == 201) ++won;
        } catch (const NoAnswer&) {
        }
      }
    };
    std::thread eu([&] { storefront(1); }), us([&] { storefront(2); });
    for (int round = 0; round < 3; ++round) {
      std::this_thread::sleep_for(Millis(150));
      cluster[0].kill_now();
      cluster[0].start();
    }
    eu.join();
    us.join();
    go_on = false;
    CHECK(won <= kUnits);
    CHECK(won >= 400);  // their own rights at least
    cluster.wait_joined();
    cluster.wait_converged();
    for (std::size_t i = 0; i < 3; ++i) {
      const auto view = cluster[i].http().get("/v1/skus/last/stock");
      CHECK(view.number("/held") == won);
      CHECK(view.number("/available") == kUnits - won);
      CHECK(view.number("/oversold") == 0);
    }
  }
}

TEST_SUITE("process/stop") {
  TEST_CASE("SIGTERM under load: exit status 0, and every acknowledgement holds") {
    TemporaryDirectory directory;
    Node node(directory.path(), NodeOptions{});
    node.start();
    stock_everything(node);
    Ledger all;
    for (int round = 0; round < 3; ++round) {
      int status = -1;
      auto acknowledged = under_load(node, "t" + std::to_string(round) + "-", 3, Millis(400),
                                     [&] { status = node.stop(); });
      CHECK_MESSAGE(status == 0, node.log());
      CHECK(acknowledged.size() > 10);
      node.start();
      check_all_there(node.http(), acknowledged);
      all.merge(acknowledged);
    }
    check_books(node);
    // Idle connections don't keep a node from stopping.
    std::vector<Connection> idle;
    for (int i = 0; i < 20; ++i) idle.emplace_back(node.http_port());
    idle.back().send("GET /healthz HTT");
    CHECK(node.stop() == 0);
  }
}
