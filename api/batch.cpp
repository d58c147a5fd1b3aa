#include "api/batch.h"

#include <algorithm>

#include "api/bodies.h"
#include "api/routes.h"

namespace holdfast::api {
namespace {

using Refusal = std::optional<Problem>;

// The string members that are read before it is known what the line is.
struct Head {
  std::optional<JsonValue> op, id, sku, key;
};

Head read_head(JsonValue line) {
  Head head;
  line.members([&](std::string_view name, JsonValue value) {
    if (name == "op") head.op = value;
    if (name == "id") head.id = value;
    if (name == "sku") head.sku = value;
    if (name == "key") head.key = value;
    return true;
  });
  return head;
}

Refusal take_name(const std::optional<JsonValue>& value, std::string_view field,
                  std::string& name) {
  if (!value) return invalid(field, "is required");
  if (value->kind() != JsonKind::string) return invalid(field, "must be a string");
  name = value->text();
  return check_name(field, name);
}

template <typename Command>
Refusal read_by_id(const Head& head, JsonValue line, node::Command& out) {
  static constexpr std::string_view kKnown[] = {"op", "id"};
  Command& command = out.emplace<Command>();
  Refusal refusal = take_name(head.id, "id", command.id);
  return refusal ? refusal : read(command, line, kKnown);
}

Refusal read_receive(const Head& head, JsonValue line, node::Command& out) {
  static constexpr std::string_view kKnown[] = {"op", "sku", "key"};
  auto& command = out.emplace<node::Receive>();
  if (Refusal refusal = take_name(head.sku, "sku", command.sku)) return refusal;
  if (head.key) {
    if (head.key->kind() != JsonKind::string) return invalid("key", "must be a string");
    command.key.scope = "POST " + canonical_path(Route::receive, command.sku);
    command.key.text = head.key->text();
    if (Refusal refusal = check_key("key", command.key.text)) return refusal;
  }
  return read(command, line, kKnown);
}

Refusal read_line(JsonValue line, node::Command& command) {
  if (line.kind() != JsonKind::object) return invalid("line", "must be a JSON object");
  const Head head = read_head(line);
  if (!head.op) return invalid("op", "is required");
  const std::string_view op = head.op->kind() == JsonKind::string ? head.op->text() : "";
  if (op == "reserve") return read_by_id<node::Reserve>(head, line, command);
  if (op == "commit") return read_by_id<node::Commit>(head, line, command);
  if (op == "release") return read_by_id<node::Release>(head, line, command);
  if (op == "extend") return read_by_id<node::Extend>(head, line, command);
  if (op == "receive") return read_receive(head, line, command);
  return invalid("op", "must be \"reserve\", \"commit\", \"release\", \"extend\" or \"receive\"");
}

BatchLine parse_line(std::string_view text, JsonReader& reader) {
  BatchLine line;
  Refusal refusal;
  if (text.size() > kBodyBytesMax) {
    refusal = invalid("line", "is longer than 1 MiB");
  } else if (const auto value = reader.read(text)) {
    refusal = read_line(*value, line.command.emplace());
  } else {
    refusal = invalid("line", reader.error());
  }
  if (refusal) {
    line.command.reset();
    append_problem(line.refusal, *refusal);
  }
  return line;
}

}  // namespace

std::variant<BatchCall, Problem> parse_batch(std::string_view body, JsonReader& reader) {
  BatchCall batch;
  while (!body.empty()) {
    const std::size_t end = std::min(body.find('\n'), body.size());
    const std::string_view text = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (batch.lines.size() == kBatchLinesMax) {
      return invalid("body", "has more than 10,000 lines: send it in parts");
    }
    batch.lines.push_back(parse_line(text, reader));
  }
  return batch;
}

}  // namespace holdfast::api
