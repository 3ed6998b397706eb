// SPDX-License-Identifier: BSD-3-Clause
#include "app/weirctl_words.hh"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace weir::ctl {
namespace {

// The word that `typed` stands for among `words` (with repetitions).
Result<std::string_view> resolve(std::vector<std::string_view> words, const std::string& typed,
                                 std::string_view what) {
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    std::vector<std::string_view> found;
    for (const std::string_view word : words) {
        if (word == typed) return word;
        if (word.starts_with(typed)) found.push_back(word);
    }
    if (found.size() == 1) return found.front();
    if (found.empty())
        return Error{
            fmt::format("unknown {} '{}'; there are: {}", what, typed, fmt::join(words, ", "))};
    return Error{fmt::format("'{}' is ambiguous: {}", typed, fmt::join(found, ", "))};
}

Result<Match> with_arguments(std::span<const Words> table, std::size_t command,
                             std::vector<std::string> arguments) {
    const Words& words = table[command];
    const std::string name =
        words.verb.empty() ? std::string(words.noun) : fmt::format("{} {}", words.noun, words.verb);
    if (!words.built) return Error{fmt::format("this version does not have '{}' yet", name)};
    if (arguments.size() < words.least || arguments.size() > words.most)
        return Error{fmt::format("usage: weirctl {} {}", name, words.arguments)};
    return Match{command, std::move(arguments)};
}

}  // namespace

Result<Match> match(std::span<const Words> table, const std::vector<std::string>& typed) {
    std::vector<std::string_view> nouns;
    for (const Words& words : table)
        nouns.push_back(words.noun);
    if (typed.empty()) return Error{fmt::format("say what: {}", help_of(table))};
    const auto noun = resolve(nouns, typed[0], "word");
    if (!noun) return noun.error();

    std::vector<std::string_view> verbs, built;
    for (std::size_t i = 0; i < table.size(); ++i) {
        if (table[i].noun != noun.value()) continue;
        if (table[i].verb.empty())
            return with_arguments(table, i, {typed.begin() + 1, typed.end()});
        verbs.push_back(table[i].verb);
        if (table[i].built) built.push_back(table[i].verb);
    }
    if (typed.size() < 2)
        return Error{fmt::format("{} what? {}", noun.value(), fmt::join(built, ", "))};
    const auto verb = resolve(verbs, typed[1], "verb");
    if (!verb) return verb.error();
    for (std::size_t i = 0; i < table.size(); ++i)
        if (table[i].noun == noun.value() && table[i].verb == verb.value())
            return with_arguments(table, i, {typed.begin() + 2, typed.end()});
    return Error{"no such command"};
}

std::string help_of(std::span<const Words> table) {
    std::string text = "\n";
    for (const Words& words : table) {
        if (!words.built) continue;
        const std::string left = fmt::format("{} {} {}", words.noun, words.verb, words.arguments);
        text += fmt::format("  {:<42}{}\n", left, words.help);
    }
    return text;
}

Result<ServiceBackend> split_backend(const std::string& text) {
    const auto slash = text.find('/');
    if (slash == std::string::npos || slash == 0 || slash + 1 == text.size() ||
        text.find('/', slash + 1) != std::string::npos)
        return Error{fmt::format("'{}' is not SERVICE/BACKEND", text)};
    return ServiceBackend{text.substr(0, slash), text.substr(slash + 1)};
}

}  // namespace weir::ctl
