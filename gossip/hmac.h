#pragma once
// HMAC-SHA256 (RFC 2104), by OpenSSL.

#include <string>
#include <string_view>

namespace holdfast::gossip {

std::string hmac(std::string_view secret, std::string_view message);  // 32 bytes
// Takes the same time whatever the contents.
bool equal_secrets(std::string_view a, std::string_view b);

}  // namespace holdfast::gossip
