// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packet/main.hh"

#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

namespace weir::test {
namespace {

class CaseInvoker : public Catch::ITestInvoker {
public:
    CaseInvoker(const Case& subject, const std::function<void(const Case&)>& run)
        : case_(subject), run_(run) {}
    void invoke() const override { run_(case_); }

private:
    const Case& case_;
    const std::function<void(const Case&)>& run_;
};

}  // namespace

int run_cases(int argc, char** argv, const Cases& cases,
              const std::function<void(const Case&)>& run) {
    Catch::Session session;
    for (const Case& one : cases) {
        std::string tags = "[packet]";
        if (one.fault != 0) tags += "[fault-" + std::to_string(one.fault) + "]";
        Catch::getMutableRegistryHub().registerTest(
            Catch::makeTestCase(new CaseInvoker(one, run), "", {one.name, tags},
                                Catch::SourceLineInfo(__FILE__, __LINE__)));
    }
    return session.run(argc, argv);
}

}  // namespace weir::test
