#include "node/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <memory>
#include <utility>

namespace holdfast::node {
namespace {

constexpr std::array<std::pair<const char*, spdlog::level::level_enum>, 5> kLevels{{
    {"trace", spdlog::level::trace},
    {"debug", spdlog::level::debug},
    {"info", spdlog::level::info},
    {"warn", spdlog::level::warn},
    {"error", spdlog::level::err},
}};

// The message on one line. spdlog's own %v copies it as it is.
class OneLineMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    static constexpr char kHex[] = "0123456789abcdef";
    for (const char c : message.payload) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0x20 && byte != 0x7f) {
        out.push_back(c);
        continue;
      }
      for (const char escaped : {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]}) {
        out.push_back(escaped);
      }
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<OneLineMessage>();
  }
};

// The level's name as the configuration spells it ("warn", not spdlog's "warning").
class LevelName final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    std::string_view name = "error";
    for (const auto& [text, level] : kLevels) {
      if (level == message.level) name = text;
    }
    out.append(name.data(), name.data() + name.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<LevelName>();
  }
};

std::unique_ptr<spdlog::formatter> make_formatter() {
  auto formatter =
      std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc, "\n");
  formatter->add_flag<OneLineMessage>('*');
  formatter->add_flag<LevelName>('!');
  formatter->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %! %*");
  return formatter;
}

}  // namespace

absl::Status set_up_log(const std::string& level) {
  for (const auto& [name, value] : kLevels) {
    if (level != name) continue;
    auto logger = std::make_shared<spdlog::logger>(
        "holdfast", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_formatter(make_formatter());
    logger->set_level(value);
    logger->flush_on(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("log level '" + level +
                                    "' is not one of trace, debug, info, warn, error");
}

}  // namespace holdfast::node
