// SPDX-License-Identifier: BSD-3-Clause
#include "app/weirctl_client.hh"

#include <cerrno>
#include <memory>

#include <curl/curl.h>
#include <fmt/format.h>

namespace weir::ctl {
namespace {

constexpr std::size_t most_bytes = std::size_t{64} << 20;

struct Cleanup {
    void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
};

std::size_t append(const char* data, std::size_t size, std::size_t count, void* body) {
    auto& text = *static_cast<std::string*>(body);
    if (text.size() + size * count > most_bytes) return 0;
    text.append(data, size * count);
    return size * count;
}

Answer connection_failed(CURL* handle, CURLcode code, const std::string& socket) {
    long number = 0;
    curl_easy_getinfo(handle, CURLINFO_OS_ERRNO, &number);
    if (code == CURLE_COULDNT_CONNECT && (number == EACCES || number == EPERM))
        return {
            Answer::Kind::broken,
            {},
            fmt::format("no permission for {}; try as root or in the group of the socket", socket)};
    if (code == CURLE_COULDNT_CONNECT)
        return {Answer::Kind::not_running,
                {},
                fmt::format("weir is not running (no answer at {})", socket)};
    return {Answer::Kind::broken, {}, fmt::format("{}: {}", socket, curl_easy_strerror(code))};
}

}  // namespace

Answer ask(const std::string& socket, const std::string& method, const std::string& path) {
    const std::unique_ptr<CURL, Cleanup> handle(curl_easy_init());
    std::string body;
    const std::string url = "http://weir" + path;
    curl_easy_setopt(handle.get(), CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
    curl_easy_setopt(handle.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle.get(), CURLOPT_PROXY, "");
    curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &body);
    if (method == "POST") {
        curl_easy_setopt(handle.get(), CURLOPT_POST, 1L);
        curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDSIZE, 0L);
    }
    const CURLcode code = curl_easy_perform(handle.get());
    if (code != CURLE_OK) return connection_failed(handle.get(), code, socket);

    long status = 0;
    curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
    nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
    if (json.is_discarded())
        return {Answer::Kind::broken, {}, fmt::format("{}: the answer is not JSON", socket)};
    if (status == 200) return {Answer::Kind::ok, std::move(json), {}};
    std::string error = json.is_object() ? json.value("error", "") : "";
    if (error.empty()) error = fmt::format("HTTP status {}", status);
    return {Answer::Kind::refused, std::move(json), std::move(error)};
}

std::string encoded(const std::string& text) {
    char* raw = curl_easy_escape(nullptr, text.c_str(), static_cast<int>(text.size()));
    std::string result = raw == nullptr ? "" : raw;
    curl_free(raw);
    return result;
}

}  // namespace weir::ctl
