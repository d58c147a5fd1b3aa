#include "sim/feed_model.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>

#include "sim/timeline.h"

namespace holdfast::sim {
namespace {

constexpr double kIdBytes = 8, kNumberBytes = 8, kKindBytes = 1;

// Entries by key; joined by taking the later version.
using Delta = std::vector<std::pair<std::uint32_t, std::uint32_t>>;  // ascending by key

class Entries {
 public:
  explicit Entries(std::uint32_t keys) : versions_(keys) {}
  std::uint32_t raise(std::uint32_t key) {
    if (versions_[key] == 0) ++size_;
    return ++versions_[key];
  }
  // What of `delta` is later than what is here.
  Delta news(const Delta& delta) const {
    Delta later;
    for (const auto& [key, version] : delta)
      if (version > versions_[key]) later.emplace_back(key, version);
    return later;
  }
  void join(const Delta& delta) {
    for (const auto& [key, version] : delta) {
      if (versions_[key] == 0 && version > 0) ++size_;
      versions_[key] = std::max(versions_[key], version);
    }
  }
  Delta all() const {
    Delta delta;
    for (std::uint32_t key = 0; key < versions_.size(); ++key)
      if (versions_[key] > 0) delta.emplace_back(key, versions_[key]);
    return delta;
  }
  std::size_t size() const { return size_; }
  bool operator==(const Entries&) const = default;

 private:
  std::vector<std::uint32_t> versions_;
  std::size_t size_ = 0;
};

// One run: replicas, their timers and their messages. What a variant does is in its subclass.
class FeedModel {
 public:
  explicit FeedModel(const FeedWorkload& workload)
      : workload_(workload), states_(workload.replicas(), Entries(workload.keys)) {}
  virtual ~FeedModel() = default;

  FeedCost run() {
    for (std::size_t i = 0; i < states_.size(); ++i) {
      time_.after(workload_.update_at_us[i], [this, i] { update(i, 0); });
      time_.after(workload_.sync_at_us[i], [this, i] { sync_again(i); });
    }
    const auto rounds = static_cast<std::int64_t>(workload_.rounds());
    const std::int64_t limit = (rounds + 1'000) * kRoundUs;
    while (!(cost_.converged = done()) && time_.now_us() < limit) time_.step();
    cost_.seconds_to_converge = static_cast<double>(time_.now_us() - last_update_us_) / kRoundUs;
    const auto replicas = static_cast<double>(states_.size());
    for (double* figure : {&cost_.payload, &cost_.metadata, &cost_.metadata_bytes})
      *figure /= replicas;
    return cost_;
  }

 protected:
  virtual void wrote(std::size_t replica, Delta&& delta) = 0;
  virtual void sync(std::size_t replica, std::size_t neighbour) = 0;

  void send(double payload, double metadata, double metadata_bytes, std::function<void()> arrive) {
    cost_.payload += payload;
    cost_.metadata += metadata;
    cost_.metadata_bytes += metadata_bytes;
    time_.after(kHopUs, [this, arrive = std::move(arrive)] {
      changed_ = true;
      arrive();
    });
  }
  std::size_t place_of(std::size_t neighbour, std::size_t replica) const {
    const auto& list = workload_.neighbours[replica];
    return static_cast<std::size_t>(std::find(list.begin(), list.end(), neighbour) - list.begin());
  }

  const FeedWorkload& workload_;
  std::vector<Entries> states_;

 private:
  void update(std::size_t replica, std::size_t round) {
    Delta delta;
    for (const std::uint32_t key : workload_.writes[replica][round])
      delta.emplace_back(key, states_[replica].raise(key));
    wrote(replica, std::move(delta));
    ++updates_;
    changed_ = true;
    last_update_us_ = time_.now_us();
    if (round + 1 < workload_.rounds())
      time_.after(kRoundUs, [this, replica, round] { update(replica, round + 1); });
  }
  void sync_again(std::size_t replica) {
    for (const std::size_t neighbour : workload_.neighbours[replica]) sync(replica, neighbour);
    time_.after(kRoundUs, [this, replica] { sync_again(replica); });
  }
  bool done() {
    if (!std::exchange(changed_, false) || updates_ < states_.size() * workload_.rounds())
      return false;
    return std::all_of(states_.begin(), states_.end(),
                       [&](const Entries& state) { return state == states_.front(); });
  }

  Timeline time_;
  FeedCost cost_;
  std::size_t updates_ = 0;
  std::int64_t last_update_us_ = 0;
  bool changed_ = true;
};

class WholeState final : public FeedModel {
 public:
  using FeedModel::FeedModel;
  void wrote(std::size_t, Delta&&) override {}
  void sync(std::size_t replica, std::size_t neighbour) override {
    send(static_cast<double>(states_[replica].size()), 0, kKindBytes + kIdBytes,
         [this, neighbour, all = states_[replica].all()] { states_[neighbour].join(all); });
  }
};

// Deltas, numbered, kept until every neighbour has acknowledged them.
class Deltas final : public FeedModel {
 public:
  Deltas(const FeedWorkload& workload, bool bp, bool rr)
      : FeedModel(workload), bp_(bp), rr_(rr), nodes_(workload.replicas()) {
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      nodes_[i].acknowledged.assign(workload.neighbours[i].size(), 0);
  }
  void wrote(std::size_t replica, Delta&& delta) override {
    keep(replica, replica, std::move(delta));
  }
  void sync(std::size_t replica, std::size_t neighbour) override {
    Node& node = nodes_[replica];
    const std::uint64_t from = node.acknowledged[place_of(neighbour, replica)];
    Entries group(workload_.keys);
    for (const Kept& kept : node.buffer)
      if (kept.number >= from && !(bp_ && kept.source == neighbour)) group.join(kept.delta);
    if (group.size() == 0) return;
    send(static_cast<double>(group.size()), 1, kMessageBytes,
         [this, replica, neighbour, upto = node.next, delta = group.all()] {
           receive(neighbour, replica, upto, delta);
         });
  }

 private:
  static constexpr double kMessageBytes = kKindBytes + kIdBytes + kNumberBytes;
  struct Kept {
    std::uint64_t number = 0;
    std::size_t source = 0;
    Delta delta;
  };
  struct Node {
    std::deque<Kept> buffer;
    std::uint64_t next = 0;
    std::vector<std::uint64_t> acknowledged;  // by neighbour: it has all below
  };
  void keep(std::size_t replica, std::size_t source, Delta&& delta) {
    Node& node = nodes_[replica];
    node.buffer.push_back({node.next++, source, std::move(delta)});
  }
  void receive(std::size_t replica, std::size_t from, std::uint64_t upto, const Delta& delta) {
    Delta news = states_[replica].news(delta);
    if (!news.empty()) {
      states_[replica].join(delta);
      keep(replica, from, rr_ ? std::move(news) : Delta(delta));
    }
    send(0, 1, kMessageBytes, [this, replica, from, upto] { acknowledge(from, replica, upto); });
  }
  void acknowledge(std::size_t replica, std::size_t neighbour, std::uint64_t upto) {
    Node& node = nodes_[replica];
    std::uint64_t& known = node.acknowledged[place_of(neighbour, replica)];
    known = std::max(known, upto);
    const auto all = *std::min_element(node.acknowledged.begin(), node.acknowledged.end());
    while (!node.buffer.empty() && node.buffer.front().number < all) node.buffer.pop_front();
  }

  bool bp_, rr_;
  std::vector<Node> nodes_;
};

class Scuttlebutt final : public FeedModel {
 public:
  explicit Scuttlebutt(const FeedWorkload& workload)
      : FeedModel(workload),
        nodes_(workload.replicas(),
               Node{.matrix = Matrix(workload.replicas(), Vector(workload.replicas()))}) {}
  void wrote(std::size_t replica, Delta&& delta) override {
    Node& node = nodes_[replica];
    node.buffer[{replica, ++node.matrix[replica][replica]}] = std::move(delta);
  }
  // Asks: sends what is known of everybody's vectors; the answer is what the own one lacks.
  void sync(std::size_t replica, std::size_t neighbour) override {
    const Node& node = nodes_[replica];
    if (node.buffer.empty()) return;
    double vectors = 0, entries = 0;
    for (const Vector& vector : node.matrix) {
      const auto known = std::count_if(vector.begin(), vector.end(), [](auto n) { return n > 0; });
      vectors += known > 0 ? 1 : 0;
      entries += static_cast<double>(known);
    }
    send(0, vectors + entries,
         kKindBytes + kIdBytes + vectors * kIdBytes + entries * (kIdBytes + kNumberBytes),
         [this, replica, neighbour, matrix = node.matrix] { answer(neighbour, replica, matrix); });
  }

 private:
  using Vector = std::vector<std::uint32_t>;
  using Matrix = std::vector<Vector>;
  using Dot = std::pair<std::size_t, std::uint32_t>;
  using Buffer = std::map<Dot, Delta>;
  struct Node {
    Buffer buffer;
    Matrix matrix;  // by replica: its vector, as far as is known here; the own row is exact
  };
  void answer(std::size_t replica, std::size_t asker, const Matrix& matrix) {
    Node& node = nodes_[replica];
    for (std::size_t i = 0; i < matrix.size(); ++i)
      for (std::size_t j = 0; i != replica && j < matrix.size(); ++j)
        node.matrix[i][j] = std::max(node.matrix[i][j], matrix[i][j]);
    std::erase_if(node.buffer, [&](const auto& entry) {
      return std::all_of(node.matrix.begin(), node.matrix.end(), [&](const Vector& vector) {
        return vector[entry.first.first] >= entry.first.second;
      });
    });
    Buffer lacking;
    double payload = 0;
    for (const auto& [dot, delta] : node.buffer) {
      if (matrix[asker][dot.first] >= dot.second) continue;
      payload += static_cast<double>(delta.size());
      lacking.emplace(dot, delta);
    }
    if (lacking.empty()) return;
    const auto dots = static_cast<double>(lacking.size());
    send(payload, dots, kKindBytes + kIdBytes + dots * (kIdBytes + kNumberBytes),
         [this, asker, lacking] { take(asker, lacking); });
  }
  void take(std::size_t replica, const Buffer& buffer) {
    Node& node = nodes_[replica];
    for (const auto& [dot, delta] : buffer) {
      std::uint32_t& seen = node.matrix[replica][dot.first];
      if (dot.second != seen + 1) continue;  // known; buffers hold every later dot of a replica
      seen = dot.second;
      states_[replica].join(delta);
      node.buffer.emplace(dot, delta);
    }
  }

  std::vector<Node> nodes_;
};

}  // namespace

std::string_view name_of(FeedVariant variant) {
  constexpr std::string_view kNames[] = {"state",       "delta",       "delta+BP",       "delta+RR",
                                         "delta+BP+RR", "Scuttlebutt", "Holdfast's feed"};
  return kNames[static_cast<std::size_t>(variant)];
}

FeedCost run_feed_model(const FeedWorkload& workload, FeedVariant variant) {
  std::unique_ptr<FeedModel> model;
  if (variant == FeedVariant::state) {
    model = std::make_unique<WholeState>(workload);
  } else if (variant == FeedVariant::scuttlebutt) {
    model = std::make_unique<Scuttlebutt>(workload);
  } else {
    const bool both = variant == FeedVariant::bp_rr;
    model = std::make_unique<Deltas>(workload, both || variant == FeedVariant::bp,
                                     both || variant == FeedVariant::rr);
  }
  return model->run();
}

}  // namespace holdfast::sim
