#pragma once
// JSON objects of the contract → commands, checked for form.
//
// Each read() fills a command whose path part (sku, id, region, target) is set already. An unknown
// or duplicate member, a wrong type and a value out of range are refused with a problem whose
// `field` names it: "quantity", "lines[3].sku", "metadata". `known` are further member names that
// the caller has read by itself (see batch.cpp).

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/types/span.h"
#include "api/json.h"
#include "api/problem.h"
#include "node/command.h"

namespace holdfast::api {

inline constexpr std::size_t kLinesMax = 4'096;
inline constexpr std::uint32_t kTtlSecondsMax = 30 * 24 * 3600;
inline constexpr std::uint32_t kWaitMsMax = 60'000;
inline constexpr std::uint32_t kFaultDelayMsMax = 60'000;
inline constexpr std::size_t kObjectBytesMax = 16 << 10;  // metadata, attributes: canonical text
inline constexpr std::size_t kSkuNameBytesMax = 256;
inline constexpr std::size_t kReasonBytesMax = 512;
inline constexpr std::size_t kKeyBytesMax = 128;

// Members that were read by the caller, or none.
using Known = absl::Span<const std::string_view>;

std::optional<Problem> read(node::PutSku& command, JsonValue body, Known known = {});
std::optional<Problem> read(node::Receive& command, JsonValue body, Known known = {});
std::optional<Problem> read(node::Adjust& command, JsonValue body, Known known = {});
std::optional<Problem> read(node::Allow& command, JsonValue body, Known known = {});
std::optional<Problem> read(node::GrantTo& command, JsonValue body, Known known = {});
std::optional<Problem> read(node::MoveOut& command, JsonValue body, Known known = {});
std::optional<Problem> read(node::MoveIn& command, JsonValue body, Known known = {});
std::optional<Problem> read(node::Reserve& command, JsonValue body, Known known = {});
std::optional<Problem> read(node::Commit& command, JsonValue body, Known known = {});
std::optional<Problem> read(node::Release& command, JsonValue body, Known known = {});
std::optional<Problem> read(node::Extend& command, JsonValue body, Known known = {});
std::optional<Problem> read(node::Return& command, JsonValue body, Known known = {});
std::optional<Problem> read(node::Failover& command, JsonValue body, Known known = {});
std::optional<Problem> read(node::Retire& command, JsonValue body, Known known = {});
std::optional<Problem> read(node::StartDrain& command, JsonValue body, Known known = {});
std::optional<Problem> read(node::SetFault& command, JsonValue body, Known known = {});

// A SKU, reservation id, region or target: 1 – 128 of A–Z a–z 0–9 . _ : -
std::optional<Problem> check_name(std::string_view field, std::string_view text);
// An idempotency key: 1 – 128 visible ASCII characters.
std::optional<Problem> check_key(std::string_view field, std::string_view text);

}  // namespace holdfast::api
