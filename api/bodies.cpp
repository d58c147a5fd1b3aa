#include "api/bodies.h"

#include <algorithm>
#include <cmath>

#include "api/views.h"

namespace holdfast::api {
namespace {

using Refusal = std::optional<Problem>;
using crdt::kLineUnitsMax;
using crdt::kUnitsMax;
using crdt::Units;

constexpr std::string_view kNamed = "1 to 128 characters of A-Z a-z 0-9 . _ : -";

// A member's full name, for people: "lines[3].sku".
std::string full_name(std::string_view prefix, std::string_view name) {
  return std::string(prefix).append(name);
}

// Calls take(index in `names`, value) for each member of an object; refuses what is not an object,
// not in `names` or there twice. `seen` tells which were there.
template <std::size_t N, typename Take>
Refusal each_member(JsonValue body, const std::string_view (&names)[N], std::uint32_t& seen,
                    std::string_view prefix, Known known, Take&& take) {
  static_assert(N < 16);
  if (body.kind() != JsonKind::object) {
    const std::string_view field = prefix.empty() ? "body" : prefix.substr(0, prefix.size() - 1);
    return invalid(field, "must be a JSON object");
  }
  Refusal refusal;
  seen = 0;
  std::uint32_t known_seen = 0;
  body.members([&](std::string_view name, JsonValue value) {
    const auto at = static_cast<std::size_t>(std::find(names, names + N, name) - names);
    const auto skip =
        static_cast<std::size_t>(std::find(known.begin(), known.end(), name) - known.begin());
    if (at == N && skip == known.size()) {
      refusal = invalid(full_name(prefix, name), "unknown field: remove it or correct its name");
      return false;
    }
    std::uint32_t& marks = at < N ? seen : known_seen;
    const std::uint32_t mark = 1u << (at < N ? at : skip);
    if ((marks & mark) != 0) {
      refusal = invalid(full_name(prefix, name), "given twice: send it once");
      return false;
    }
    marks |= mark;
    if (at < N) refusal = take(at, value);
    return !refusal;
  });
  return refusal;
}

Refusal read_integer(JsonValue value, std::string_view field, std::int64_t least, std::int64_t most,
                     std::int64_t& out) {
  if (value.kind() != JsonKind::integer || value.node().integer < least ||
      value.node().integer > most) {
    return invalid(field, "must be an integer from " + std::to_string(least) + " to " +
                              std::to_string(most) + ", without fraction or exponent");
  }
  out = value.node().integer;
  return std::nullopt;
}

Refusal read_integer(JsonValue value, std::string_view field, std::uint32_t least,
                     std::uint32_t most, std::uint32_t& out) {
  std::int64_t wide = 0;
  Refusal refusal = read_integer(value, field, std::int64_t{least}, std::int64_t{most}, wide);
  if (!refusal) out = static_cast<std::uint32_t>(wide);
  return refusal;
}

Refusal read_delta(JsonValue value, std::string_view field, Units& out) {
  Refusal refusal = read_integer(value, field, -kLineUnitsMax, kLineUnitsMax, out);
  if (!refusal && out == 0) refusal = invalid(field, "must not be 0");
  return refusal;
}

Refusal read_boolean(JsonValue value, std::string_view field, bool& out) {
  if (value.kind() != JsonKind::boolean) return invalid(field, "must be true or false");
  out = value.node().boolean;
  return std::nullopt;
}

Refusal read_text(JsonValue value, std::string_view field, std::size_t bytes_max,
                  std::string& out) {
  if (value.kind() != JsonKind::string || value.text().size() > bytes_max) {
    return invalid(field, "must be a string of at most " + std::to_string(bytes_max) + " bytes");
  }
  out = value.text();
  return std::nullopt;
}

Refusal read_name(JsonValue value, std::string_view field, std::string& out) {
  if (value.kind() != JsonKind::string || !crdt::valid_name(value.text())) {
    return invalid(field, "must be a string of " + std::string(kNamed));
  }
  out = value.text();
  return std::nullopt;
}

Refusal read_replica(JsonValue value, std::string_view field, crdt::ReplicaId& out) {
  const auto id =
      value.kind() == JsonKind::string ? crdt::parse_replica_id(value.text()) : std::nullopt;
  if (!id) return invalid(field, "must be a replica's id: 16 hexadecimal digits");
  out = *id;
  return std::nullopt;
}

// Of a shard map.
Refusal read_version(JsonValue value, std::string_view field, std::uint64_t& out) {
  std::int64_t version = 0;
  Refusal refusal = read_integer(value, field, 1, kUnitsMax, version);
  if (!refusal) out = static_cast<std::uint64_t>(version);
  return refusal;
}

Refusal read_object_text(JsonValue value, std::string_view field, std::string& out) {
  if (value.kind() != JsonKind::object) return invalid(field, "must be a JSON object");
  std::string offender;
  out.clear();
  if (!append_canonical(out, value, offender)) {
    return invalid(field, "\"" + offender + "\" is given twice, or is not a finite number");
  }
  if (out.size() > kObjectBytesMax) {
    return invalid(field, "is longer than " + std::to_string(kObjectBytesMax) + " bytes");
  }
  return std::nullopt;
}

Refusal read_durability(JsonValue value, std::string_view field, node::Durability& out) {
  const std::string_view level = value.kind() == JsonKind::string ? value.text() : "";
  for (const auto durability :
       {node::Durability::node, node::Durability::region, node::Durability::remote}) {
    if (level != durability_name(durability)) continue;
    out = durability;
    return std::nullopt;
  }
  return invalid(field, "must be \"node\", \"region\" or \"remote\"");
}

Refusal read_number(JsonValue value, std::string_view field, double& out) {
  const JsonNode& node = value.node();
  if (node.kind != JsonKind::integer && node.kind != JsonKind::number) {
    return invalid(field, "must be a number");
  }
  out = node.number;
  return std::nullopt;
}

Refusal read_fraction(JsonValue value, std::string_view field, std::uint32_t& ppm) {
  double fraction = 0;
  Refusal refusal = read_number(value, field, fraction);
  if (refusal || !(fraction >= 1e-6 && fraction <= 1)) {
    return invalid(field, "must be a number above 0, at least 0.000001, and at most 1");
  }
  ppm = static_cast<std::uint32_t>(std::lround(fraction * 1e6));
  return std::nullopt;
}

Refusal read_plan(JsonValue value, std::string_view field, std::string& out) {
  const std::string_view text = value.kind() == JsonKind::string ? value.text() : "";
  if (text.size() != 16 || text.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return invalid(field, "must be the plan that a dry run gave, 16 digits of 0-9 a-f");
  }
  out = text;
  return std::nullopt;
}

Refusal read_line(JsonValue value, const std::string& prefix, node::Line& line) {
  static constexpr std::string_view kNames[] = {"sku", "quantity"};
  std::uint32_t seen = 0;
  Refusal refusal =
      each_member(value, kNames, seen, prefix, {}, [&](std::size_t at, JsonValue member) {
        const std::string field = full_name(prefix, kNames[at]);
        return at == 0 ? read_name(member, field, line.sku)
                       : read_integer(member, field, 1, kLineUnitsMax, line.quantity);
      });
  if (refusal) return refusal;
  if ((seen & 1) == 0) return invalid(prefix + "sku", "is required");
  if ((seen & 2) == 0) return invalid(prefix + "quantity", "is required");
  return std::nullopt;
}

Refusal read_lines(JsonValue value, std::vector<node::Line>& lines) {
  constexpr std::string_view kField = "lines";
  if (value.kind() != JsonKind::array) return invalid(kField, "must be an array of lines");
  Refusal refusal;
  value.elements([&](JsonValue element) {
    if (lines.size() == kLinesMax) {
      refusal = invalid(kField, "has more than " + std::to_string(kLinesMax) + " lines");
      return false;
    }
    const std::string prefix = "lines[" + std::to_string(lines.size()) + "].";
    refusal = read_line(element, prefix, lines.emplace_back());
    return !refusal;
  });
  if (!refusal && lines.empty()) refusal = invalid(kField, "must have at least one line");
  return refusal;
}

// The first of `names` that is not in `seen`, though its bit is in `required`, is refused.
template <std::size_t N>
Refusal require(const std::string_view (&names)[N], std::uint32_t required, std::uint32_t seen) {
  for (std::size_t i = 0; i < N; ++i) {
    if (((required & ~seen) >> i & 1) != 0) return invalid(names[i], "is required");
  }
  return std::nullopt;
}

}  // namespace

std::optional<Problem> read(node::PutSku& command, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {"name", "attributes", "low_stock_threshold"};
  std::uint32_t seen = 0;
  return each_member(body, kNames, seen, "", known, [&](std::size_t at, JsonValue value) {
    switch (at) {
      case 0:
        return read_text(value, kNames[at], kSkuNameBytesMax, command.name.emplace());
      case 1:
        return read_object_text(value, kNames[at], command.attributes.emplace());
      default:
        return read_integer(value, kNames[at], 0, kUnitsMax, command.low_stock_threshold.emplace());
    }
  });
}

std::optional<Problem> read(node::Receive& command, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {"quantity"};
  std::uint32_t seen = 0;
  Refusal refusal =
      each_member(body, kNames, seen, "", known, [&](std::size_t at, JsonValue value) {
        return read_integer(value, kNames[at], 1, kLineUnitsMax, command.quantity);
      });
  return refusal ? refusal : require(kNames, 1, seen);
}

std::optional<Problem> read(node::Adjust& command, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {"delta", "reason"};
  std::uint32_t seen = 0;
  Refusal refusal =
      each_member(body, kNames, seen, "", known, [&](std::size_t at, JsonValue value) {
        return at == 0 ? read_delta(value, kNames[at], command.delta)
                       : read_text(value, kNames[at], kReasonBytesMax, command.reason);
      });
  return refusal ? refusal : require(kNames, 1, seen);
}

std::optional<Problem> read(node::Allow& command, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {"delta"};
  std::uint32_t seen = 0;
  Refusal refusal =
      each_member(body, kNames, seen, "", known, [&](std::size_t at, JsonValue value) {
        return read_delta(value, kNames[at], command.delta);
      });
  return refusal ? refusal : require(kNames, 1, seen);
}

std::optional<Problem> read(node::GrantTo& command, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {"to", "quantity"};
  std::uint32_t seen = 0;
  Refusal refusal =
      each_member(body, kNames, seen, "", known, [&](std::size_t at, JsonValue value) {
        return at == 0 ? read_name(value, kNames[at], command.to)
                       : read_integer(value, kNames[at], 1, kLineUnitsMax, command.quantity);
      });
  return refusal ? refusal : require(kNames, 3, seen);
}

std::optional<Problem> read(node::MoveOut& command, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {"version", "shard", "to", "url"};
  std::uint32_t seen = 0;
  Refusal refusal =
      each_member(body, kNames, seen, "", known, [&](std::size_t at, JsonValue value) -> Refusal {
        if (at == 0) return read_version(value, kNames[at], command.version);
        if (at == 1) return read_name(value, kNames[at], command.shard);
        if (at == 2) return read_replica(value, kNames[at], command.to);
        return read_text(value, kNames[at], kSkuNameBytesMax, command.url);
      });
  return refusal ? refusal : require(kNames, 7, seen);
}

std::optional<Problem> read(node::MoveIn& command, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {"version", "from", "total", "to"};
  std::uint32_t seen = 0;
  Refusal refusal =
      each_member(body, kNames, seen, "", known, [&](std::size_t at, JsonValue value) -> Refusal {
        if (at == 0) return read_version(value, kNames[at], command.version);
        if (at == 1) return read_replica(value, kNames[at], command.from);
        if (at == 3) return read_replica(value, kNames[at], command.to);
        return read_integer(value, kNames[at], 0, kUnitsMax, command.total);
      });
  return refusal ? refusal : require(kNames, 7, seen);
}

std::optional<Problem> read(node::Reserve& command, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {"lines",      "ttl_seconds", "wait_ms",
                                                "durability", "partial",     "metadata"};
  std::uint32_t seen = 0;
  Refusal refusal =
      each_member(body, kNames, seen, "", known, [&](std::size_t at, JsonValue value) {
        switch (at) {
          case 0:
            return read_lines(value, command.lines);
          case 1:
            return read_integer(value, kNames[at], 1u, kTtlSecondsMax, command.ttl_seconds);
          case 2:
            return read_integer(value, kNames[at], 0u, kWaitMsMax, command.wait_ms);
          case 3:
            return read_durability(value, kNames[at], command.durability);
          case 4:
            return read_boolean(value, kNames[at], command.partial);
          default:
            return read_object_text(value, kNames[at], command.metadata);
        }
      });
  return refusal ? refusal : require(kNames, 1, seen);
}

std::optional<Problem> read(node::Commit& command, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {"lines"};
  std::uint32_t seen = 0;
  return each_member(body, kNames, seen, "", known, [&](std::size_t, JsonValue value) {
    return read_lines(value, command.lines.emplace());
  });
}

std::optional<Problem> read(node::Release&, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {""};  // none, not even the empty name
  std::uint32_t seen = 0;
  return each_member(body, kNames, seen, "", known, [&](std::size_t, JsonValue) -> Refusal {
    return invalid("", "unknown field with an empty name: remove it");
  });
}

std::optional<Problem> read(node::Extend& command, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {"ttl_seconds"};
  std::uint32_t seen = 0;
  return each_member(body, kNames, seen, "", known, [&](std::size_t at, JsonValue value) {
    return read_integer(value, kNames[at], 1u, kTtlSecondsMax, command.ttl_seconds);
  });
}

std::optional<Problem> read(node::Return& command, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {"lines"};
  std::uint32_t seen = 0;
  Refusal refusal = each_member(body, kNames, seen, "", known, [&](std::size_t, JsonValue value) {
    return read_lines(value, command.lines);
  });
  return refusal ? refusal : require(kNames, 1, seen);
}

std::optional<Problem> read(node::Failover& command, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {"fraction", "dry_run", "plan"};
  std::uint32_t seen = 0;
  return each_member(body, kNames, seen, "", known, [&](std::size_t at, JsonValue value) {
    if (at == 0) return read_fraction(value, kNames[at], command.fraction_ppm);
    if (at == 1) return read_boolean(value, kNames[at], command.dry_run);
    return read_plan(value, kNames[at], command.plan);
  });
}

std::optional<Problem> read(node::Retire& command, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {"successor", "dry_run", "plan"};
  std::uint32_t seen = 0;
  Refusal refusal =
      each_member(body, kNames, seen, "", known, [&](std::size_t at, JsonValue value) {
        if (at == 0) return read_name(value, kNames[at], command.successor);
        if (at == 1) return read_boolean(value, kNames[at], command.dry_run);
        return read_plan(value, kNames[at], command.plan);
      });
  return refusal ? refusal : require(kNames, 1, seen);
}

std::optional<Problem> read(node::StartDrain& command, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {"successor", "wait_seconds"};
  constexpr std::uint32_t kWaitSecondsMax = 7 * 24 * 3600;
  std::uint32_t seen = 0;
  return each_member(body, kNames, seen, "", known, [&](std::size_t at, JsonValue value) {
    if (at == 0) return read_name(value, kNames[at], command.successor);
    return read_integer(value, kNames[at], 0u, kWaitSecondsMax, command.wait_seconds);
  });
}

std::optional<Problem> read(node::SetFault& command, JsonValue body, Known known) {
  static constexpr std::string_view kNames[] = {"drop", "delay_ms", "loss"};
  std::uint32_t seen = 0;
  return each_member(
      body, kNames, seen, "", known, [&](std::size_t at, JsonValue value) -> Refusal {
        if (at == 0) return read_boolean(value, kNames[at], command.drop);
        if (at == 1) return read_integer(value, kNames[at], 0u, kFaultDelayMsMax, command.delay_ms);
        const Refusal refusal = read_number(value, kNames[at], command.loss);
        if (refusal || !(command.loss >= 0 && command.loss <= 1)) {
          return invalid(kNames[at], "must be a number from 0 to 1");
        }
        return std::nullopt;
      });
}

std::optional<Problem> check_name(std::string_view field, std::string_view text) {
  if (crdt::valid_name(text)) return std::nullopt;
  return invalid(field, "must be " + std::string(kNamed));
}

std::optional<Problem> check_key(std::string_view field, std::string_view text) {
  const bool visible =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x21 && c <= 0x7e; });
  if (visible && !text.empty() && text.size() <= kKeyBytesMax) return std::nullopt;
  return invalid(field, "must be 1 to 128 visible ASCII characters");
}

}  // namespace holdfast::api
