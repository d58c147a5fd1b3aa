#pragma once
// Request → command, outcome → response. Pure: no I/O, no clock, no state between calls but the
// reader's memory.

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/http_message.h"
#include "api/json.h"
#include "node/command.h"

namespace holdfast::api {

inline constexpr std::size_t kBodyBytesMax = 1 << 20;
inline constexpr std::size_t kBatchBodyBytesMax = 16 << 20;
inline constexpr std::size_t kBatchLinesMax = 10'000;
inline constexpr std::size_t kBatchAnswerBytesMax = 64 << 20;

// How to word the answer to a command, beyond what the outcome says.
enum class Wording : std::uint8_t { view, fault, nothing, readiness, metrics };

// A command for the engine, and how to answer when its outcome is there.
struct Call {
  node::Command command;
  Wording wording = Wording::view;
  std::string page_base;  // lists: path and query of this page up to "cursor="; else empty
  node::LinkFault fault;  // Wording::fault
};

// One line of a batch: a command, or why there is none (a JSON object with its status).
struct BatchLine {
  std::optional<node::Command> command;
  std::string refusal;
};
struct BatchCall {
  std::vector<BatchLine> lines;  // blank lines of the body are left out
};

// A Response: answered already (a problem, or /healthz).
using Parsed = std::variant<Response, Call, BatchCall>;

Parsed parse_request(const Request& request, JsonReader& reader);

// `call` is what parse_request gave; its command may have been moved from.
Response answer(const Call& call, const node::Outcome& outcome);

// Appends {"status":…, …}: what the single call would answer. Without a newline.
void append_batch_result(std::string& out, const node::Outcome& outcome);
// The same in short, once a batch's answer has passed kBatchAnswerBytesMax.
void append_batch_result_omitted(std::string& out, const node::Outcome& outcome);

// Whether `target` (not yet decoded) may have a body of up to kBatchBodyBytesMax.
std::size_t body_bytes_max(std::string_view target);

}  // namespace holdfast::api
